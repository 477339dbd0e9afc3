"""Classify unlabeled images with a tracked model.

python -m src.predict run_id=RUN images=FOLDER output=predictions.csv
python -m src.predict model_uri=models:/NAME@champion images=FOLDER
python -m src.predict run_id=RUN images=pixels.csv calibrated=true
python -m src.predict run_id=RUN images=FOLDER tta=true
python -m src.predict model_file=exports/onnx/model.onnx images=FOLDER
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from src import certainty, console, datasets, exporting, fitting, reports
from src.cli.command import entry_point
from src.errors import ConfigError, DataError
from src.places import check_output_folder, local_path
from src.results import PredictionResult, printable, short_name
from src.schema import PredictConfig
from src.tables import csv_line
from src.tracked import open_tracked_model
from src.writing import replacing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SHOWN = 5  # bad files that are named in the terminal


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A model, and how images are read for it.

    Attributes:
        input_shape: height, width and channels of its images.
        resize_mode: how images are resized: `crop`, `pad` or `stretch`.
        converts: True if images with other colors are converted.
        class_names: the class of each probability.
        load: returns the function that computes the probabilities, float32, (n, classes), of n images.
        temperature: of the probabilities, None for those of the model.
    """

    input_shape: tuple[int, int, int]
    resize_mode: str
    converts: bool
    class_names: Sequence[str]
    load: Callable[[], Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]]
    temperature: float | None = None


def predict(config: PredictConfig) -> PredictionResult:
    """Write a CSV file with the class and all probabilities of each image.

    Image files are read as in the training of the model: with the same size, colors and resizing. For an exported file
    neither its run nor TensorFlow is needed.

    Raises:
        ConfigError: the output cannot be written, or is the file of the images; or the package that runs an exported
            file is not installed.
        StoreError: no such run or model, or with `calibrated` a run without a temperature.
        ModelFileError: the model's files are missing or altered.
        DataError: no images, rows that are not pixels, or bad files with `on_bad_image=error`.
    """
    images, output = local_path(config.images), local_path(config.output)
    check_output(output, images)
    with open_classifier(config) as classifier:
        unlabeled = datasets.read_unlabeled(
            images, classifier.input_shape, classifier.resize_mode, config.batch_size, classifier.converts
        )
        compute = classifier.load()
    try:
        with (
            replacing(output) as part,
            part.open("w", newline="", encoding="utf-8") as file,
            console.progress("images", unlabeled.total) as advance,
        ):
            counts, bad_files = write_predictions(
                file,
                compute,
                classifier.class_names,
                unlabeled.batches,
                config.on_bad_image,
                advance,
                classifier.temperature,
            )
            if not bad_files and not any(counts.values()):
                raise DataError(f"there is no row of pixels in {images}")
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}; name another file: output=") from error
    return PredictionResult(output=str(output), counts=counts, bad_files=[(bad.path, bad.reason) for bad in bad_files])


@contextmanager
def open_classifier(config: PredictConfig) -> Iterator[Classifier]:
    """Yield the exported file or the tracked model of the config, which is loaded inside the block."""
    if config.model_file is not None:
        exported = exporting.open_export(local_path(config.model_file))
        yield Classifier(
            input_shape=exported.manifest.input_shape,
            resize_mode=exported.manifest.resize_mode,
            converts=exported.manifest.converts,
            class_names=exported.manifest.class_names,
            load=lambda: exported.probabilities,
        )
        return
    with open_tracked_model(config) as tracked:
        dataset = tracked.config.dataset

        def load() -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
            model = tracked.load_model()
            if config.tta:
                return partial(fitting.averaged_probabilities, model, flips=tracked.was_mirrored)
            return partial(fitting.probabilities, model)

        yield Classifier(
            input_shape=dataset.input_shape,
            resize_mode=dataset.resize_mode,
            converts=dataset.converts,
            class_names=dataset.class_names,
            load=load,
            temperature=reports.temperature_of(tracked.run, tracked.config.has_monitor) if config.calibrated else None,
        )


def check_output(output: Path, images: Path) -> None:
    """Raise ConfigError for an output file that cannot be written, or that would replace the images."""
    if output.exists() and images.is_file() and output.samefile(images):
        raise ConfigError(f"output: {output} contains the images, and would be overwritten; name another file")
    if output.is_dir():
        raise ConfigError(f"output: {output} is a folder; give a file, such as {output / 'predictions.csv'}")
    check_output_folder(output.parent, "output")


def write_predictions(
    file: IO[str],
    compute: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    class_names: Sequence[str],
    batches: Iterator[datasets.Batch],
    on_bad_image: str,
    advance: Callable[[int], None],
    temperature: float | None = None,
) -> tuple[dict[str, int], list[datasets.BadFile]]:
    """Classify the images and write one row for each.

    Args:
        file: where the rows go.
        compute: the function that computes the probabilities, float32, (n, classes), of n images.
        class_names: the name of each class.
        batches: the images.
        on_bad_image: `skip` or `error`.
        advance: called with the number of images after each batch.
        temperature: of the probabilities; it changes no predicted class. None: as the model was trained.

    Returns:
        The number of images of each class, and the files that were skipped.

    Raises:
        DataError: there is a bad file and `on_bad_image` is `error`.
    """
    counts = dict.fromkeys(class_names, 0)
    bad_files: list[datasets.BadFile] = []
    file.write(csv_line(("image", "predicted", "score", *class_names)))
    for names, images, bad in batches:
        if bad and on_bad_image == "error":
            raise DataError(
                f"{bad[0].path}: {bad[0].reason}; remove the file, or skip such files with on_bad_image=skip"
            )
        bad_files += bad
        found = compute(images)
        labels = found.argmax(axis=1).tolist()
        if temperature is not None:
            found = certainty.calibrate(found, temperature)
        for name, label, probabilities in zip(names, labels, found, strict=True):
            counts[class_names[label]] += 1
            scores = (f"{probability:.6f}" for probability in (probabilities[label], *probabilities))
            file.write(csv_line((name, class_names[label], *scores)))
        advance(len(names) + len(bad))
    return counts, bad_files


@entry_point("predict", only_prints=True)
def main(config: PredictConfig, overrides: list[str]) -> None:
    """Classify the images, then print how many there are of each class and which files were skipped."""
    result = predict(config)

    total = sum(result.counts.values())
    console.say(f"{total:,} images classified; the probabilities of each are in {result.output}")
    rows = [(short_name(name), f"{count:,}") for name, count in result.counts.items() if count]
    console.table("", ("predicted", "images"), rows)
    if result.bad_files:
        first = "; ".join(f"{path}: {reason}" for path, reason in result.bad_files[:MAX_SHOWN])
        more = "; ..." if len(result.bad_files) > MAX_SHOWN else ""
        count = f"{len(result.bad_files)} unusable file{'s' * (len(result.bad_files) != 1)} skipped"
        console.say(f"{count}: {printable(first)}{more}")


if __name__ == "__main__":
    main()
