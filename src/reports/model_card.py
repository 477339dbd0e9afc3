"""The card of a registered model: what it was trained on, how good it is, how it was found, how to use it.

The idea is that of Mitchell et al. 2019, "Model Cards for Model Reporting". Markdown for the registry, and a page with
pictures that is one file and works offline.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from src import saving, tracking
from src.cli.mistakes import quoted
from src.errors import NotKept
from src.reports.exports import measured_exports
from src.reports.html import as_html, html_table, page
from src.reports.markdown import Markdown, escape, table
from src.results import MEGABYTE, TrainResult, format_calibration, format_interval, short_name
from src.schema import EXPORTS, METRICS, TEST, VALIDATION, Config, flatten
from src.tables import read_table

PAGE = "model_card.html"
MAX_CLASSES = 10  # in a table: those with the lowest F1
MAX_NAMED = 20  # classes that are listed by name
MAX_MARKDOWN = 4_900  # characters; MLflow's database keeps 5,000
PICTURES = {
    "Confusion matrix": "figures/confusion_matrix.png",
    "Worst mistakes": "figures/worst_mistakes.png",
    "Is it as sure as it is right?": "figures/reliability.png",
}
PURPOSES = {"train": "training", "validation": "validation", "test": "testing"}  # of the splits
PER_CLASS = "tables/per_class.csv"
KEPT = {  # lines of Python for each file of a run's model
    "model.keras": 'import keras\nmodel = keras.saving.load_model("model/model.keras")\nprobabilities = model(images)',
    "model.h5": 'import keras\nmodel = keras.saving.load_model("model/model.h5")\nprobabilities = model(images)',
    "saved_model": (
        'import tensorflow as tf\nmodel = tf.saved_model.load("model/saved_model")\nprobabilities = model.serve(images)'
    ),
}
DECIDED = ("optimizer.name", "schedule.name", "loss.name", "augmentation.name")
STYLE = """
td, th { padding: 4px 12px; vertical-align: top; }
pre { background: #f6f6f6; padding: 8px 12px; overflow: auto; }
img { max-width: 100%; }
p.warning { border-left: 4px solid #d08700; background: #fdf5e3; padding: 6px 12px; }
"""


class Part(NamedTuple):
    """A part of a card; plain text.

    Attributes:
        title: its heading.
        columns, rows: a table; no columns for a part without one.
        note: a sentence.
        code: lines to type.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    note: str = ""
    code: str = ""


class ModelCard(NamedTuple):
    """A card; plain text.

    Attributes:
        title: the name of the version.
        summary: one sentence.
        warnings: facts that change how to read the card.
        parts: in their order, the most important first.
    """

    title: str
    summary: str
    warnings: Sequence[str]
    parts: Sequence[Part]


def card_of(
    run: tracking.Run, config: Config, result: TrainResult, version: tracking.Version, size: int, latency: float
) -> ModelCard:
    """Return the card of a version.

    Args:
        run: that trained the model.
        config: of the run.
        result: of the run.
        version: of the registered model.
        size: bytes of the `.keras` file.
        latency: seconds that one image takes.
    """
    tested = TEST + "accuracy"
    score = f", test accuracy {result.metrics[tested]:.4f}" if tested in result.metrics else ""
    parts = [
        _facts(run, config, result, size, latency),
        _metrics(result),
        _classes(run),
        Part("How it was found", note=f"{how_it_was_found(run)} To train it again:", code=_again(run)),
        *_usage(run, config, version),
        exported_files(run),
        *_usage_of_exports(run, config),
    ]
    return ModelCard(
        title=f"Version {version.number} of {version.name}",
        summary=f"{config.model.name} on {config.dataset.name}{score}",
        warnings=result.warnings,
        parts=[part for part in parts if part is not None],
    )


def _facts(run: tracking.Run, config: Config, result: TrainResult, size: int, latency: float) -> Part:
    height, width, channels = config.dataset.input_shape
    classes = config.dataset.class_names
    names = ", ".join(short_name(name) for name in classes[:MAX_NAMED]) + (", ..." if len(classes) > MAX_NAMED else "")
    images = ", ".join(
        f"{int(run.params[key]):,} for {purpose}"
        for split, purpose in PURPOSES.items()
        if (key := f"resolved.{split}_images") in run.params
    )
    settings = flatten(config)
    chosen = ", ".join(f"{name.partition('.')[0]} {settings[name]}" for name in DECIDED)
    speed = f"{1_000 * latency:.2f} ms for one image on the CPU of the machine that wrote this card"
    rows = [
        ("network", f"{config.model.name}, {int(run.param('resolved.parameters')):,} parameters"),
        ("input", f"{height}x{width}x{channels}, raw pixels from 0 to 255 (uint8)"),
        ("output", f"probabilities of {len(classes)} classes: {names}"),
        ("data", f"{config.dataset.name}, images: {images}; SHA-256 {run.param('resolved.data_digest')[:12]}"),
        ("training", f"{result.best_epoch} epochs, seed {config.seed}, {chosen}"),
        ("size, speed", f"{size / MEGABYTE:.2f} MB, {speed}"),
    ]
    return Part("The model", ("", ""), rows)


def _metrics(result: TrainResult) -> Part | None:
    found = [name for name in METRICS if TEST + name in result.metrics]
    if not found:
        return Part("Metrics", note="The test split was not scored.")
    rows = []
    for name in found:
        validation = result.metrics.get(VALIDATION + name)
        rows.append(
            (
                METRICS[name].label,
                f"{result.metrics[TEST + name]:.4f}",
                format_interval(result.intervals.get(TEST + name)),
                "-" if validation is None else f"{validation:.4f}",
            )
        )
    note = "" if result.calibration is None else f"{format_calibration(result.calibration)}.".capitalize()
    return Part("Metrics", ("metric", "test", "95 % interval", "validation"), rows, note)


def _classes(run: tracking.Run) -> Part | None:
    try:
        with run.reading(PER_CLASS) as file:
            rows = read_table(file)
        worst = sorted(rows, key=lambda row: float(row["f1"]))[:MAX_CLASSES]
    except (NotKept, ValueError, KeyError):
        return None
    cells = [[short_name(row["class"]), row["precision"], row["recall"], row["f1"], row["images"]] for row in worst]
    note = f"The {MAX_CLASSES} of {len(rows)} with the lowest F1." if len(rows) > MAX_CLASSES else ""
    return Part("Classes of the test split", ("class", "precision", "recall", "F1", "images"), cells, note)


def how_it_was_found(run: tracking.Run) -> str:
    """Return the sweep or pipeline that a run belongs to, or that it is a training of its own."""
    tags = run.tags
    if study := tags.get("best_of"):
        # The tag is part of a recipe too, which keeps its validation split.
        images = " on training and validation images" if run.params.get("resolved.validation_images") == "0" else ""
        return f"The best trial of study {study}, trained again{images} (run {run.run_id})."
    if "trial" in tags and (study := tags.get("study")):
        return f"Trial {tags['trial']} of study {study} (run {run.run_id})."
    return f"One training (run {run.run_id})."


def _again(run: tracking.Run) -> str:
    return f"python -m pipelines.reproduce run_id={run.run_id}"


def _usage(run: tracking.Run, config: Config, version: tracking.Version) -> list[Part]:
    uri = f"models:/{version.name}/{version.number}"
    python = [
        "import mlflow",
        f"model = mlflow.pyfunc.load_model({uri!r})",
        f"probabilities = model.predict(images)  # {_images(config)}",
    ]
    note = f"Each format gives the same probabilities. The images: {_images(config)}."
    kept = "\n\n".join(KEPT[name] for name in kept_formats(run))
    return [
        Part(
            "How to use it",
            code="\n".join(
                [
                    shlex.join(["python", "-m", "src.predict", f"model_uri={_typed(uri)}", "images=FOLDER"]),
                    shlex.join(["python", "-m", "src.serve", f"model_uri={_typed(uri)}"]),
                    "curl -F image=@FILE http://127.0.0.1:5001/predict",
                ]
            ),
        ),
        Part("In Python, from the registry", code="\n".join(python)),
        *([Part("In Python, from the files of the run", note=note, code=kept)] if kept else []),
    ]


def kept_formats(run: tracking.Run) -> tuple[str, ...]:
    """Return the files that the run's folder `model/` contains, as its manifest lists them."""
    try:
        with run.reading(f"model/{saving.MANIFEST}") as manifest:
            return saving.formats_listed(manifest)
    except (NotKept, OSError, ValueError):
        return ()


def _images(config: Config) -> str:
    height, width, channels = config.dataset.input_shape
    return f"uint8, (n, {height}, {width}, {channels})"


def exported_files(run: tracking.Run) -> Part | None:
    """Return the measurements of the run's exported files, and a command; None if nothing was exported."""
    lines = _measured(run)
    if not lines:
        return None
    rows = [
        (
            line["format"],
            f"{float(line['test_accuracy']):.4f}",
            f"{int(line['bytes']) / MEGABYTE:.2f} MB",
            f"{float(line['latency_ms']):.2f} ms",
        )
        for line in lines
    ]
    files = [_path(line["format"]) for line in lines]
    return Part(
        "Exported files of the run",
        ("format", "test accuracy", "size", "one image"),
        rows,
        f"They are in {', '.join(files)}. Without TensorFlow, with the file's folder downloaded:",
        f"python -m src.predict model_file={files[0]} images=FOLDER",
    )


def _usage_of_exports(run: tracking.Run, config: Config) -> list[Part]:
    """Return lines of Python for the exported files, once for each package that runs them."""
    firsts: dict[str, str] = {}
    for line in _measured(run):
        firsts.setdefault(EXPORTS[line["format"]].python, _path(line["format"]))
    return [
        Part(f"In Python, from {path}", code=f'file = "{path}"  # images: {_images(config)}\n{python}')
        for python, path in firsts.items()
    ]


def _measured(run: tracking.Run) -> list[dict[str, str]]:
    return [line for line in measured_exports(run) if line["format"] in EXPORTS]


def _path(format_name: str) -> str:
    return f"exports/{format_name}/{EXPORTS[format_name].file}"


def _typed(uri: str) -> str:
    return uri if re.fullmatch(r"[\w./:-]+", uri) else quoted(uri)


def card_markdown(card: ModelCard) -> str:
    """Return the card as Markdown, without the parts for which the registry has no room."""
    blocks = [f"**{escape(card.summary)}**", *(f"**{escape(warning)}**" for warning in card.warnings)]
    for part in card.parts:
        added = [f"### {escape(part.title)}"]
        if part.columns:
            added.append(table(part.columns, part.rows))
        if part.note:
            added.append(escape(part.note))
        if part.code:
            added.append(Markdown(f"```\n{part.code}\n```"))
        if len("\n\n".join([*blocks, *added])) <= MAX_MARKDOWN:
            blocks += added
    return "\n\n".join(blocks)[:MAX_MARKDOWN]


def card_page(card: ModelCard, pictures: Mapping[str, bytes]) -> str:
    """Return the card as a page.

    Args:
        card: the card.
        pictures: the content of PNG files, by their titles.
    """
    body = [f"<p>{as_html(card.summary)}</p>"]
    body += [f'<p class="warning">{as_html(warning)}</p>' for warning in card.warnings]
    for part in card.parts:
        body.append(f"<h2>{as_html(part.title)}</h2>")
        if part.columns:
            body.append(html_table(part.columns, part.rows))
        if part.note:
            body.append(f"<p>{as_html(part.note)}</p>")
        if part.code:
            body.append(f"<pre>{as_html(part.code)}</pre>")
    for title, content in pictures.items():
        encoded = base64.b64encode(content).decode()
        body.append(
            f'<h2>{as_html(title)}</h2>\n<p><img src="data:image/png;base64,{encoded}" alt="{as_html(title)}"></p>'
        )
    return page(card.title, body, STYLE)


def record_card(run: tracking.Run, card: ModelCard) -> None:
    """Write the page into the run, with the pictures that the run has."""
    pictures = {}
    for title, path in PICTURES.items():
        try:
            with run.reading(path) as file:
                pictures[title] = file.read_bytes()
        except NotKept:
            continue
    run.log_page(PAGE, card_page(card, pictures))
