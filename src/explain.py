"""Look inside a tracked model, and store the pictures in its run. `src.schema.methods` lists the methods.

python -m src.explain run_id=RUN
python -m src.explain run_id=RUN image=FILE output=FOLDER
python -m src.explain run_id=RUN 'methods=[occlusion,embedding]'
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from src import console, datasets, fitting, models, reports
from src.cli.command import entry_point
from src.errors import DataError
from src.places import check_output_folder, local_path
from src.results import ExplanationResult, printable, short_name
from src.schema import ExplainConfig, chosen_methods
from src.tracked import TrackedModel, open_tracked_model

MAX_CLASSES = 5  # in the answer to one image
MAX_HEAT_MAPS = 3  # of the most probable of these classes, so that they fit in one row
MAX_STEM = 60  # characters of a folder's name; one may have 4 bytes, and a file system allows 255


def explain(config: ExplainConfig) -> ExplanationResult:
    """Explain the predictions of the model for its test split, or for one image.

    Pictures are written into the run of the model, and replace those of an earlier explanation.

    Raises:
        ConfigError: a layer does not exist.
        StoreError: no such run or model.
        ModelFileError: the model's files are missing or altered.
        DataError: the image cannot be read, or the data found here is not what the model was trained on.
    """
    image = None if config.image is None else local_path(config.image)
    if image is not None and not image.is_file():
        raise DataError(f"there is no image file {config.image}; give the path of one: image=FILE")
    if config.output is not None:
        check_output_folder(local_path(config.output), "output")
    with open_tracked_model(config) as tracked:
        if image is None:
            return explain_test_split(tracked, config)
        return explain_image(tracked, image, config)


def explain_test_split(tracked: TrackedModel, config: ExplainConfig) -> ExplanationResult:
    """Look inside the model, and explain right and wrong predictions for the test split."""
    dataset = tracked.load_dataset(config.data_dir)
    model = tracked.load_model()
    methods = chosen_methods(config.methods)
    reports.check_layers(model, config.layers)
    probabilities = fitting.score(model, dataset.test, tracked.config.loss).probabilities
    subject = reports.split_subject(model, dataset, probabilities, tracked.config.seed, config.layers)
    pictures, measures, notes = reports.record_explanation(tracked.run, subject.findings(methods), config.output)
    values = {measure.metric: measure.value for measure in measures}
    known = {metric: value for metric, value in values.items() if value is not None}
    tracked.run.log_new_metrics(known, tracked.run.best_epoch)
    right, wrong = reports.choose_predictions(dataset, probabilities)
    rows = [
        (shown.name, shown.true, shown.predicted, f"{shown.score:.4f}", f"{shown.true_score:.4f}")
        for shown in (*right, *wrong)
    ]
    return ExplanationResult(
        run_id=tracked.run.run_id or "",
        experiment_id=tracked.run.experiment_id,
        title=f"{tracked.config.model.name} on {len(dataset.test):,} test images: right predictions, worst mistakes",
        columns=("image", "is", "predicted", "score", "true score", *(measure.label for measure in measures)),
        rows=_with_measures(rows, measures),
        pictures=pictures,
        notes=dataset.warnings + subject.note(methods) + notes,
        metrics=known,
    )


def explain_image(tracked: TrackedModel, file: Path, config: ExplainConfig) -> ExplanationResult:
    """List the most probable classes of an image file, and explain the first of them."""
    height, width, channels = tracked.config.dataset.input_shape
    trained_on = tracked.config.dataset
    image, size, _ = datasets.read_image(
        file, height, width, channels, trained_on.resize_mode, convert=trained_on.converts
    )
    model = tracked.load_model()
    methods = chosen_methods(config.methods, is_image=True)
    reports.check_layers(model, config.layers)
    probabilities = models.predict(model, image[None])[0]
    answers = [(int(label), float(probabilities[label])) for label in probabilities.argsort()[::-1][:MAX_CLASSES]]

    names, name = trained_on.class_names, short_name(file.name)
    heated = answers[:MAX_HEAT_MAPS]
    subject = reports.image_subject(model, names, image, name, heated, tracked.config.seed, config.layers)
    findings, folder = subject.findings(methods), image_folder(file)
    pictures, measures, notes = reports.record_explanation(tracked.run, findings, config.output, folder)
    notes = subject.note(methods) + notes
    if size != (height, width):
        notes.append(f"{file} is {size[0]}x{size[1]} pixels; it was resized to {height}x{width} for the model")
    return ExplanationResult(
        run_id=tracked.run.run_id or "",
        experiment_id=tracked.run.experiment_id,
        title=f"{tracked.config.model.name} on {short_name(file.name)}",
        columns=("class", "probability", *(measure.label for measure in measures)),
        rows=_with_measures([(names[label], f"{probability:.4f}") for label, probability in answers], measures),
        pictures=pictures,
        notes=notes,
    )


def image_folder(file: Path) -> str:
    """Return the folder in the run with the pictures of an image file: its name, and a digest of its content.

    So pictures of two files with one name do not replace each other, and those of one file replace the earlier ones.
    """
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()[:8]
    stem = re.sub(r"[^\w.-]+", "_", file.stem).strip(".")[:MAX_STEM] or "image"
    return f"figures/images/{stem}-{digest}"


def _with_measures(rows: Sequence[tuple[str, ...]], measures: Sequence[reports.Measure]) -> list[tuple[str, ...]]:
    """Return the rows with a cell for each measure; empty where a measure has no value."""
    columns = [["" if value is None else f"{value:.4f}" for value in measure.values] for measure in measures]
    cells = itertools.zip_longest(*columns, fillvalue="") if columns else iter(())
    return [(*row, *next(cells, ("",) * len(columns))) for row in rows]


@entry_point("explain")
def main(config: ExplainConfig, overrides: list[str]) -> None:
    """Explain the model's predictions, then print them and where the pictures are."""
    result = explain(config)

    rows = [tuple(short_name(cell) for cell in row) for row in result.rows]
    console.say(printable(result.title))
    console.table("", result.columns, rows)
    for note in result.notes:
        console.say(printable(note))
    for name, value in result.metrics.items():
        console.say(f"{name} {value:.4f}")
    if result.pictures:
        console.say("pictures: " + ", ".join(result.pictures))
    if config.output is not None and result.pictures:
        console.say(f"copies of the pictures: {local_path(config.output)}")
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
