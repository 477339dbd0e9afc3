"""Convert a tracked model to files that other programs run, and check on the test split that they lose little accuracy.

python -m src.export run_id=RUN
python -m src.export model_uri=models:/NAME@champion 'formats=[onnx,litert,litert_int8]' output=FOLDER
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src import console, datasets, exporting, fitting, reports, tracking
from src.cli.command import entry_point
from src.errors import ModelFileError, StoreError
from src.places import check_output_folder, local_path
from src.results import ExportResult, ExportRow
from src.schema import EXPORTS, ExportConfig
from src.tracked import TrackedModel, open_tracked_model

if TYPE_CHECKING:
    import keras
    import numpy as np
    import numpy.typing as npt

    Probabilities = npt.NDArray[np.float32]


def export(config: ExportConfig) -> ExportResult:
    """Write the model in each format, run the files on the test split, and store them in the run of the model.

    Files of an earlier export to the same formats are replaced. If one of the files loses too much accuracy, none is
    stored. If the model is registered, its card lists the files.

    Raises:
        ConfigError: a package is not installed, or the output folder cannot be written or contains something else.
        StoreError: no such run or model.
        ModelFileError: the model's files are missing or altered, a format has no operation for a layer, or a file is
            less accurate than the model by more than `max_drop`.
        DataError: the data found here is not what the model was trained on.
    """
    exporting.check_converters(config.formats)
    if config.output is not None:
        check_output_folder(local_path(config.output), "output")
        reports.check_copies(local_path(config.output), config.formats)
    with open_tracked_model(config) as tracked:
        dataset = tracked.load_dataset(config.data_dir)
        model = tracked.load_model()
        threads = fitting.threads()
        expected = fitting.probabilities(model, dataset.test.images)
        rows = [_row_of_model(tracked, model, dataset.test, expected)]
        with tracked.run.scratch("exports") as folder:
            for name in config.formats:
                write_format(folder / name, name, tracked, model, dataset)
                exported = exporting.open_export(folder / name / EXPORTS[name].file, threads)
                rows.append(_row_of_file(exported, dataset.test, expected))
                check_drop(rows[0], rows[-1], config.max_drop, len(dataset.test))
            warnings = store_files(config, tracked, folder, rows, threads)
    return ExportResult(
        run_id=tracked.run.run_id or "",
        experiment_id=tracked.run.experiment_id,
        rows=rows,
        images=len(dataset.test),
        threads=threads,
        warnings=[*dataset.warnings, *warnings],
    )


def write_format(
    folder: Path, name: str, tracked: TrackedModel, model: keras.Model, dataset: datasets.Dataset
) -> exporting.Manifest:
    """Write the model in one format, with its manifest, into a folder that does not exist yet."""
    trained_on = tracked.config.dataset
    return exporting.write_export(
        folder,
        exporting.convert_model(model, name, dataset.train.images, dataset.class_names),
        format=name,
        input_shape=dataset.input_shape,
        class_names=list(dataset.class_names),
        resize_mode=trained_on.resize_mode,
        converts=trained_on.converts,
        model=tracked.config.model.name,
        run_id=tracked.run.run_id,
        model_uri=tracked.run.model_uri,
        model_sha256=hashlib.sha256(tracked.file.read_bytes()).hexdigest(),
        versions=exporting.versions(name),
    )


def check_drop(model: ExportRow, exported: ExportRow, max_drop: float | None, images: int) -> None:
    """Raise ModelFileError if a file is less accurate than the model by more than is allowed.

    Args:
        model: the measurements of the model.
        exported: those of the file.
        max_drop: how much less the accuracy may be; None for what the format allows.
        images: how many test images there are.
    """
    allowed = EXPORTS[exported.format].max_drop if max_drop is None else max_drop
    drop = model.accuracy - exported.accuracy
    if not round(drop, 9) <= allowed:
        raise ModelFileError(
            f"{exported.format} is less accurate than the model by {drop:.4f} on {images:,} test images "
            f"({exported.accuracy:.4f} instead of {model.accuracy:.4f}), and max_drop is {allowed:g}; nothing was "
            "stored; export another format, or allow the drop with max_drop="
        )


def store_files(
    config: ExportConfig, tracked: TrackedModel, folder: Path, rows: Sequence[ExportRow], threads: int
) -> list[str]:
    """Store the files, their measurements and their copies, while no other process does this for the run.

    Returns:
        Warnings.
    """
    with tracking.alone(config.tracking.uri, str(tracked.run.run_id)):
        if config.output is not None:
            reports.copy_exports(folder, local_path(config.output))
        reports.record_exports(tracked.run, folder, rows, threads)
        return update_cards(config, tracked, rows[0])


def update_cards(config: ExportConfig, tracked: TrackedModel, model: ExportRow) -> list[str]:
    """Write the card of each version of the run again, and return a warning if the registry does not allow it.

    Args:
        config: names the store.
        tracked: the model, with the measurements of its files in its run.
        model: its own measurements.
    """
    run = tracked.run
    try:
        with tracking.explain_store_errors(config.tracking.uri):
            registry = tracking.Registry(config.tracking)
            warnings = []
            versions = registry.versions_of_run(str(run.run_id))
            result = tracking.recorded_result(config.tracking, str(run.run_id)) if versions else None
            for version in versions:
                assert result is not None
                card = reports.card_of(run, tracked.config, result, version, model.size, model.latency_ms / 1000)
                if not reports.write_card(registry, run, version, card):
                    warnings.append(
                        f"the description of version {version.number} of {version.name} was edited and does not list "
                        "the files; the page model_card.html of the run does"
                    )
    except StoreError as error:
        return [f"the files are stored, but the model card does not list them: {error}"]
    return warnings


def _row_of_model(
    tracked: TrackedModel, model: keras.Model, test: datasets.Split, probabilities: Probabilities
) -> ExportRow:
    return ExportRow(
        format="keras",
        size=tracked.file.stat().st_size,
        accuracy=_accuracy(test, probabilities),
        difference=0.0,
        latency_ms=1000 * fitting.latency(model),
        batch_latency_ms=1000 * fitting.latency(model, exporting.BATCH),
    )


def _row_of_file(exported: exporting.ExportedModel, test: datasets.Split, expected: Probabilities) -> ExportRow:
    probabilities = exported.probabilities(test.images)
    return ExportRow(
        format=exported.manifest.format,
        size=exported.manifest.size,
        accuracy=_accuracy(test, probabilities),
        difference=float(abs(probabilities - expected).max()),
        latency_ms=1000 * exporting.latency(exported, 1),
        batch_latency_ms=1000 * exporting.latency(exported, exporting.BATCH),
    )


def _accuracy(test: datasets.Split, probabilities: Probabilities) -> float:
    return float((probabilities.argmax(axis=1) == test.labels).mean())


@entry_point("export")
def main(config: ExportConfig, overrides: list[str]) -> None:
    """Export the model, then print what was measured and where the files are."""
    result = export(config)

    times = "s" * (result.threads != 1)
    console.table(
        f"{result.images:,} test images; latency on the CPU with {result.threads} thread{times}, median",
        ("format", "size", "test accuracy", "max difference", "ms, 1 image", f"ms, {exporting.BATCH} images"),
        [(row.format, console.size(row.size), *row.cells()) for row in result.rows],
    )
    console.say("files: " + ", ".join(f"exports/{row.format}/{EXPORTS[row.format].file}" for row in result.rows[1:]))
    if config.output is not None:
        console.say(f"copies of the files: {local_path(config.output)}")
    console.warn(result.warnings)
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
