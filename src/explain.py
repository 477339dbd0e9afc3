"""A look inside a tracked model: filters, feature maps, Grad-CAM; the pictures go back into the run.

python -m src.explain run_id=RUN
python -m src.explain run_id=RUN image=FILE output=FOLDER
"""

from __future__ import annotations

import os
import re

from src import console, datasets, figures, fitting, inspection, models, reports, tracking
from src.cli.command import entry_point
from src.cli.compose import config_from_dict
from src.errors import ConfigError, DataError
from src.places import local_path
from src.results import ExplanationResult
from src.schema import Config, ExplainConfig
from src.tracked import load_tracked_dataset, load_tracked_model

TOP = 5  # classes in the answer to one image, and how many of them Grad-CAM is drawn for
WITH_HEAT = 3


def explain(config: ExplainConfig) -> ExplanationResult:
    """Looks at the test split through the model's eyes, or at one image.

    Pictures are written into the model's run, and what stands there already is replaced.

    Raises:
        StoreError: no such run or model.
        ModelFileError: the model's files are missing or altered.
        DataError: an image that cannot be read, or data (the names of folders, for one image) that is not what the
            model was trained on.
    """
    check_paths(config)
    with tracking.resume_run(config.tracking, run_id=config.run_id, model_uri=config.model_uri) as run:
        trained = config_from_dict(run.read_config())

        looked = look_at_test if config.image is None else look_at_image
        return looked(config, run, trained)


def check_paths(config: ExplainConfig) -> None:
    """Raises before anything slow begins when the image is not there or the output cannot be a folder."""
    if config.image is not None and not local_path(config.image).is_file():
        raise DataError(f"there is no image file {config.image}; give the path of one: image=FILE")
    if config.output is None:
        return
    output = local_path(config.output).absolute()
    there = next(path for path in (output, *output.parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"output: {there} is a file; give a folder, which is made when there is none")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"output: cannot write into {there}; give a folder of yours")


def look_at_test(config: ExplainConfig, run: tracking.Run, trained: Config) -> ExplanationResult:
    """Filters, the first test image's feature maps, Grad-CAM of right and wrong predictions."""
    dataset = load_tracked_dataset(run, trained, config.data_dir)
    model = load_tracked_model(run, config.model_uri)
    probabilities = fitting.score(model, dataset.test).probabilities
    pictures = reports.record_inside(run, model, dataset, probabilities, config.output)
    right, wrong = reports.examples(dataset, probabilities)
    return ExplanationResult(
        run_id=run.run_id or "",
        experiment_id=run.experiment_id,
        title=f"{trained.model.name} on {len(dataset.test):,} test images: some right ones, the worst mistakes",
        columns=("image", "is", "predicted", "score", "true score"),
        rows=[
            (seen.name, seen.true, seen.predicted, f"{seen.score:.4f}", f"{seen.true_score:.4f}")
            for seen in (*right, *wrong)
        ],
        pictures=pictures,
        notes=dataset.warnings + ([] if pictures else [reports.without_convolutions(model)]),
    )


def look_at_image(config: ExplainConfig, run: tracking.Run, trained: Config) -> ExplanationResult:
    """The most probable classes of an image file, its feature maps, Grad-CAM of the first of these classes."""
    assert config.image is not None
    height, width, channels = trained.dataset.input_shape
    resize = trained.dataset.resize_mode
    file = local_path(config.image)
    image, size = datasets.read_image(file, height, width, channels, resize)
    model = load_tracked_model(run, config.model_uri)
    probabilities = models.predict(model, image[None])[0]
    best = [int(at) for at in probabilities.argsort()[::-1][:TOP]]
    answers = [(trained.dataset.class_names[at], float(probabilities[at])) for at in best]

    name = figures.short_name(file.name)
    drawn = list(reports.map_pictures(model, image, name))
    shown = best[:WITH_HEAT]
    heats = inspection.grad_cam(model, image[None].repeat(len(shown), axis=0), shown)
    if heats is not None:
        drawn.append(("grad_cam.png", figures.plot_class_heats(image, answers[: len(shown)], heats, name)))
    stem = re.sub(r"[^\w.-]+", "_", file.stem)
    pictures = reports.keep(run, ((f"images/{stem}/{path}", figure) for path, figure in drawn), config.output)
    notes = [] if heats is not None else [reports.without_convolutions(model)]
    if size != (height, width):
        notes.append(f"{file} is {size[0]}x{size[1]} pixels; it was resized to {height}x{width}, which the model takes")
    return ExplanationResult(
        run_id=run.run_id or "",
        experiment_id=run.experiment_id,
        title=f"{trained.model.name} on {file.name}",
        columns=("class", "probability"),
        rows=[(name, f"{score:.4f}") for name, score in answers],
        pictures=pictures,
        notes=notes,
    )


@entry_point("explain")
def main(config: ExplainConfig, overrides: list[str]) -> None:
    """Looks, then says what was seen and where it is kept."""
    explained = explain(config)

    console.table(explained.title, explained.columns, explained.rows)
    for note in explained.notes:
        console.say(note)
    if explained.pictures:
        console.say("pictures: " + ", ".join(explained.pictures))
    if config.output is not None and explained.pictures:
        console.say(f"and in {config.output}, without the figures/")
    console.say_where(explained.run_id, explained.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
