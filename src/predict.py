"""Classify unlabeled images with a tracked model.

python -m src.predict run_id=RUN images=FOLDER output=predictions.csv
python -m src.predict model_uri=models:/NAME@champion images=FOLDER
python -m src.predict run_id=RUN images=pixels.csv calibrated=true
python -m src.predict run_id=RUN images=FOLDER tta=true
python -m src.predict model_file=exports/onnx/model.onnx images=FOLDER
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from src import console, datasets
from src.classifier import Classifier, open_classifier
from src.cli.command import entry_point
from src.errors import ConfigError, DataError
from src.places import check_output_folder, local_path
from src.results import PredictionResult, printable, short_name
from src.schema import PredictConfig
from src.tables import csv_line
from src.writing import replacing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SHOWN = 5  # bad files that are named in the terminal


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
                classifier,
                compute,
                unlabeled.batches,
                config.on_bad_image,
                advance,
            )
            if not bad_files and not any(counts.values()):
                raise DataError(f"there is no row of pixels in {images}")
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}; name another file: output=") from error
    return PredictionResult(output=str(output), counts=counts, bad_files=[(bad.path, bad.reason) for bad in bad_files])


def check_output(output: Path, images: Path) -> None:
    """Raise ConfigError for an output file that cannot be written, or that would replace the images."""
    if output.exists() and images.is_file() and output.samefile(images):
        raise ConfigError(f"output: {output} contains the images, and would be overwritten; name another file")
    if output.is_dir():
        raise ConfigError(f"output: {output} is a folder; give a file, such as {output / 'predictions.csv'}")
    check_output_folder(output.parent, "output")


def write_predictions(
    file: IO[str],
    classifier: Classifier,
    compute: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    batches: Iterator[datasets.Batch],
    on_bad_image: str,
    advance: Callable[[int], None],
) -> tuple[dict[str, int], list[datasets.BadFile]]:
    """Classify the images and write one row for each.

    Args:
        file: where the rows go.
        classifier: the model.
        compute: its function, which was loaded.
        batches: the images.
        on_bad_image: `skip` or `error`.
        advance: called with the number of images after each batch.

    Returns:
        The number of images of each class, and the files that were skipped.

    Raises:
        DataError: there is a bad file and `on_bad_image` is `error`.
    """
    class_names = classifier.class_names
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
        labels = found.argmax(axis=1).tolist()  # before rounding errors of the temperature
        for name, label, probabilities in zip(names, labels, classifier.calibrated(found), strict=True):
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
