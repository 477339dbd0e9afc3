"""Look inside a tracked model (filters, feature maps, Grad-CAM), and store the pictures in its run.

python -m src.explain run_id=RUN
python -m src.explain run_id=RUN image=FILE output=FOLDER
"""

from __future__ import annotations

import re
from pathlib import Path

from src import console, datasets, figures, fitting, inspection, models, reports
from src.cli.command import entry_point
from src.errors import DataError
from src.places import check_output_folder, local_path
from src.results import ExplanationResult, printable, short_name
from src.schema import ExplainConfig
from src.tracked import TrackedModel, open_tracked_model

MAX_CLASSES = 5  # in the answer to one image
MAX_HEAT_MAPS = 3  # of the most probable of these classes, so that they fit in one row


def explain(config: ExplainConfig) -> ExplanationResult:
    """Explain the predictions of the model for its test split, or for one image.

    Pictures are written into the run of the model, and replace those of an earlier explanation.

    Raises:
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
            return explain_test_split(tracked, config.data_dir, config.output)
        return explain_image(tracked, image, config.output)


def explain_test_split(tracked: TrackedModel, data_dir: str | None, output: str | None) -> ExplanationResult:
    """Draw filters, the feature maps of the first test image, and Grad-CAM of right and wrong predictions."""
    dataset = tracked.load_dataset(data_dir)
    model = tracked.load_model()
    probabilities = fitting.score(model, dataset.test, tracked.config.loss).probabilities
    pictures = reports.record_explanation(tracked.run, model, dataset, probabilities, output)
    right, wrong = reports.choose_predictions(dataset, probabilities)
    return ExplanationResult(
        run_id=tracked.run.run_id or "",
        experiment_id=tracked.run.experiment_id,
        title=f"{tracked.config.model.name} on {len(dataset.test):,} test images: right predictions, worst mistakes",
        columns=("image", "is", "predicted", "score", "true score"),
        rows=[
            (shown.name, shown.true, shown.predicted, f"{shown.score:.4f}", f"{shown.true_score:.4f}")
            for shown in (*right, *wrong)
        ],
        pictures=pictures,
        notes=dataset.warnings + ([] if pictures else [reports.no_convolutions_note(model)]),
    )


def explain_image(tracked: TrackedModel, file: Path, output: str | None) -> ExplanationResult:
    """List the most probable classes of an image file, and draw its feature maps and Grad-CAM of these classes."""
    height, width, channels = tracked.config.dataset.input_shape
    trained_on = tracked.config.dataset
    image, size, _ = datasets.read_image(
        file, height, width, channels, trained_on.resize_mode, convert=trained_on.converts
    )
    model = tracked.load_model()
    probabilities = models.predict(model, image[None])[0]
    labels = [int(label) for label in probabilities.argsort()[::-1][:MAX_CLASSES]]
    answers = [(tracked.config.dataset.class_names[label], float(probabilities[label])) for label in labels]

    name, heated = short_name(file.name), labels[:MAX_HEAT_MAPS]
    drawings = list(reports.feature_map_pictures(model, image, name))
    heats = inspection.grad_cam(model, image[None].repeat(len(heated), axis=0), heated)
    if heats is not None:
        drawings.append(("grad_cam.png", figures.plot_class_heats(image, answers[: len(heated)], heats, name)))
    folder = "images/" + re.sub(r"[^\w.-]+", "_", file.stem)
    pictures = reports.save_pictures(tracked.run, ((f"{folder}/{path}", figure) for path, figure in drawings), output)
    notes = [] if heats is not None else [reports.no_convolutions_note(model)]
    if size != (height, width):
        notes.append(f"{file} is {size[0]}x{size[1]} pixels; it was resized to {height}x{width} for the model")
    return ExplanationResult(
        run_id=tracked.run.run_id or "",
        experiment_id=tracked.run.experiment_id,
        title=f"{tracked.config.model.name} on {short_name(file.name)}",
        columns=("class", "probability"),
        rows=[(class_name, f"{probability:.4f}") for class_name, probability in answers],
        pictures=pictures,
        notes=notes,
    )


@entry_point("explain")
def main(config: ExplainConfig, overrides: list[str]) -> None:
    """Explain the model's predictions, then print them and where the pictures are."""
    result = explain(config)

    rows = [tuple(short_name(cell) for cell in row) for row in result.rows]
    console.say(printable(result.title))
    console.table("", result.columns, rows)
    for note in result.notes:
        console.say(printable(note))
    if result.pictures:
        console.say("pictures: " + ", ".join(result.pictures))
    if config.output is not None and result.pictures:
        console.say(f"copies of the pictures: {local_path(config.output)}")
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
