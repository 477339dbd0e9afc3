"""Exported files of a model in its run."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from src import exporting, tracking
from src.errors import ConfigError, DataError, NotKept
from src.results import MEGABYTE, ExportRow
from src.schema import EXPORTS
from src.tables import read_table
from src.writing import replacing

TABLE = "tables/exports.csv"
MAX_NAMED = 3  # entries of a folder in a message
COLUMNS = ("format", "bytes", "test_accuracy", "max_difference", "latency_ms", "batch_latency_ms", "threads")


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


def check_copies(output: Path, formats: Sequence[str]) -> None:
    """Raise ConfigError if a copy would replace something other than an earlier export.

    Args:
        output: the folder that gets a folder for each format.
        formats: names of `EXPORTS`.
    """
    for name in formats:
        folder = output / name
        try:
            if folder.is_symlink() or folder.is_file():
                raise ConfigError(f"output: {folder} is a file or a link; move it away, or name another output=")
            found = {path.name for path in folder.iterdir()} if folder.exists() else set()
        except OSError as error:
            raise ConfigError(f"output: {folder} cannot be read: {error.strerror}; name another output=") from error
        if found and found != {exporting.MANIFEST, EXPORTS[name].file}:
            shown = ", ".join(sorted(found)[:MAX_NAMED]) + (", ..." if len(found) > MAX_NAMED else "")
            raise ConfigError(
                f"output: {folder} would be replaced, but it is not an earlier export: it contains {shown}; move it "
                "away, or name another output="
            )


def copy_exports(folder: Path, output: Path) -> None:
    """Copy the folder of each format into another folder, and replace those of an earlier export.

    Raises:
        ConfigError: something other than an earlier export would be replaced.
        DataError: it cannot be written.
    """
    sources = sorted(folder.iterdir())
    check_copies(output, [source.name for source in sources])
    try:
        for source in sources:
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
