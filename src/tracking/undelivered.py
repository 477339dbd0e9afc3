"""The folder for what a run cannot deliver to a store that does not answer. It is delivered later.

The folder `.undelivered/RUN_ID` holds `run.json`, the points in `points.jsonl`, and `artifacts/` as in the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import mlflow
from mlflow.entities import Metric

from src.links import deliver_command
from src.places import resolve_address, store_folder
from src.redact import redact
from src.writing import remove, remove_parts, replacing

UNDELIVERED = ".undelivered"
POINTS, RUN, ARTIFACTS = "points.jsonl", "run.json", "artifacts"


class Points(NamedTuple):
    """The points of several metrics with one step and one time, in ms since 1970."""

    metrics: Mapping[str, float]
    step: int
    timestamp: int

    def entities(self) -> list[Metric]:
        """Return them as MLflow's entities."""
        return [Metric(name, value, self.timestamp, self.step) for name, value in self.metrics.items()]

    def as_line(self) -> str:
        """Return them as a line of `points.jsonl`."""
        return json.dumps({"timestamp": self.timestamp, "step": self.step, "metrics": dict(self.metrics)}) + "\n"


class Undelivered:
    """The folder of what one run could not deliver. It is created when there is something to keep.

    Args:
        uri: the address of the store.
        run_id: the id of the run.
        experiment_id: the id of its experiment.
    """

    def __init__(self, uri: str, run_id: str, experiment_id: str) -> None:
        self.folder = store_folder(uri) / UNDELIVERED / run_id
        self._run: dict[str, str | None] = {
            "uri": _address(uri),
            "run_id": run_id,
            "experiment_id": experiment_id,
            "status": None,
        }

    @property
    def artifacts(self) -> Path:
        """The folder of files, at the same paths as in the run's artifacts."""
        return self.folder / ARTIFACTS

    @property
    def exists(self) -> bool:
        """True if something is kept."""
        return (self.folder / RUN).exists()

    @property
    def command(self) -> str:
        """The command that delivers what is kept."""
        return deliver_command(self.folder)

    @property
    def advice(self) -> str:
        """A sentence that says where the kept points and files are, and how to deliver them."""
        return f"what the store did not take is in {self.folder}; once it works again, deliver it with: {self.command}"

    def add_points(self, points: Sequence[Points]) -> None:
        """Append points to the file.

        Raises:
            OSError: the folder cannot be written.
        """
        self._write_run()
        with (self.folder / POINTS).open("ab+") as file:
            if file.seek(0, os.SEEK_END) and not _ends_with_line(file):
                file.write(b"\n")  # a killed process has left half a line
            file.write("".join(point.as_line() for point in points).encode())
            file.flush()

    def add_artifact(self, source: Path, path: str) -> None:
        """Move a file or a folder to this path of the kept artifacts; what is kept there is replaced.

        Raises:
            OSError: the folder cannot be written.
        """
        self._write_run()
        with replacing(self.artifacts / path) as part:
            shutil.move(source, part)

    def set_status(self, status: str) -> None:
        """Note the status that the run was to end with."""
        self._run["status"] = status
        if self.exists:
            with contextlib.suppress(OSError):  # then the run counts as killed
                self._write_run(is_changed=True)

    def remove_points(self) -> None:
        """Remove the points, and the folder if nothing else is in it."""
        with contextlib.suppress(OSError):
            (self.folder / POINTS).unlink(missing_ok=True)
            self._remove_if_empty()

    def deliver_files(self, client: mlflow.MlflowClient) -> None:
        """Send the files to the run, then remove them, and the folder if nothing else is in it."""
        send_files(client, self.folder.name, self.folder)
        with contextlib.suppress(OSError):
            remove(self.artifacts)
            self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        if not self.artifacts.exists() and not (self.folder / POINTS).exists():
            remove_folder(self.folder)

    def _write_run(self, is_changed: bool = False) -> None:
        if is_changed or not self.exists:
            with replacing(self.folder / RUN) as part:
                part.write_text(json.dumps(self._run, indent=2) + "\n", encoding="utf-8")


def count_kept_points(folder: Path) -> int:
    """Return the number of points that a folder `.undelivered/RUN_ID` keeps; each value of a metric is one."""
    return sum(len(points.metrics) for points in read_points(folder))


def kept_files(folder: Path) -> list[Path]:
    """Return the files that a folder `.undelivered/RUN_ID` keeps."""
    return [path for path in (folder / ARTIFACTS).rglob("*") if path.is_file()]


def send_files(client: mlflow.MlflowClient, run_id: str, folder: Path) -> int:
    """Send the files that a folder `.undelivered/RUN_ID` keeps to their run, and return their number."""
    remove_parts(folder / ARTIFACTS)
    files = kept_files(folder)
    if files:
        client.log_artifacts(run_id, str(folder / ARTIFACTS))
    return len(files)


def names_store(folder: Path, uri: str) -> bool:
    """Return True if what a folder keeps is for the store at this address."""
    try:
        return bool(json.loads((folder / RUN).read_text(encoding="utf-8"))["uri"] == _address(uri))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _address(uri: str) -> str:
    return redact(resolve_address(uri, Path.cwd()))


def _ends_with_line(file: IO[bytes]) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def read_points(folder: Path) -> Iterator[Points]:
    """Yield the points that are kept in a folder, in order.

    A line that is incomplete is skipped: the process may have been killed while it wrote it.
    """
    if not (folder / POINTS).exists():
        return
    with (folder / POINTS).open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                yield _parse(json.loads(line))


def _parse(line: dict[str, Any]) -> Points:
    metrics = {str(name): float(value) for name, value in line["metrics"].items()}
    return Points(metrics, int(line["step"]), int(line["timestamp"]))


def remove_folder(folder: Path) -> None:
    """Remove the folder of one run, and the folder above it if that is empty then."""
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
