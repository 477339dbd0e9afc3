"""Exported files of a model in its run."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from src import tracking
from src.errors import DataError, NotKept
from src.results import ExportRow
from src.tables import read_table
from src.writing import replacing

TABLE = "tables/exports.csv"
COLUMNS = ("format", "bytes", "test_accuracy", "max_difference", "latency_ms", "batch_latency_ms", "threads")
MEGABYTE = 2**20


def record_exports(run: tracking.Run, folder: Path, rows: Sequence[ExportRow], threads: int) -> None:
    """Store exported files and what was measured, and replace those of an earlier export to the same formats.

    Args:
        run: where they are stored.
        folder: contains a folder for each format; they are moved when the run is on this disk.
        rows: the measurements, first those of the model itself.
        threads: how many threads computed.
    """
    for row in rows[1:]:
        with run.new_folder(f"exports/{row.format}") as part:
            shutil.move(folder / row.format, part)
    new = {row.format: (*row, threads) for row in rows}
    kept = [tuple(line.values()) for line in measured_exports(run) if line["format"] not in new]
    run.log_table(TABLE, COLUMNS, [*new.values(), *kept])
    run.log_new_metrics(
        {f"export/{row.format}/{name}": value for row in rows for name, value in _metrics(row).items()}, run.best_epoch
    )


def copy_exports(folder: Path, output: Path) -> None:
    """Copy the folder of each format into another folder.

    Raises:
        DataError: it cannot be written.
    """
    try:
        for source in sorted(folder.iterdir()):
            with replacing(output / source.name) as part:
                shutil.copytree(source, part)
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}; name another output=") from error


def _metrics(row: ExportRow) -> dict[str, float]:
    return {
        "test_accuracy": row.accuracy,
        "size_mb": row.size / MEGABYTE,
        "latency_ms": row.latency_ms,
        "batch_latency_ms": row.batch_latency_ms,
    }


def measured_exports(run: tracking.Run) -> list[dict[str, str]]:
    """Return the lines of the run's table, by `COLUMNS`; an empty list if it has none that can be read."""
    with contextlib.suppress(NotKept, ValueError, KeyError), run.reading(TABLE) as file:
        return [{column: line[column] for column in COLUMNS} for line in read_table(file)]
    return []
