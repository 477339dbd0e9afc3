"""Delivering the points and files that a run has kept in a folder while its store did not answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import mlflow
from mlflow.entities import Metric
from mlflow.entities import Run as MlflowRun

from src.errors import StoreError
from src.links import doctor_command, restore_command, resume_command
from src.redact import HIDDEN
from src.tracking.opening import explain_store_errors
from src.tracking.probes import GONE
from src.tracking.process import has_other_process
from src.tracking.store import existing_client
from src.tracking.tags import host_of
from src.tracking.undelivered import RUN, UNDELIVERED, kept_files, read_points, remove_folder, send_files
from src.tracking.writer import BATCH


class Delivery(NamedTuple):
    """The result of a delivery to a run.

    Attributes:
        run_id: the id of the run.
        points: the number of points.
        files: the number of files.
        is_resumable: whether the run is KILLED, so that its training can be resumed.
        uri: the address of the store.
        outdated: the number of files that were not delivered, because the run has been finished since.
    """

    run_id: str
    points: int
    files: int
    is_resumable: bool
    uri: str
    outdated: int = 0

    @property
    def message(self) -> str:
        """A sentence with the numbers, and the command that completes the run."""
        delivered = f"delivered {self.points:,} points and {self.files} files to run {self.run_id}"
        if self.outdated:
            plural = "s were" if self.outdated > 1 else " was"
            return f"{delivered}; {self.outdated} older file{plural} removed, because the run has been finished since"
        if not self.is_resumable:
            return delivered
        return f"{delivered}; complete it with: {resume_command(self.uri, self.run_id)}"


def deliver(folder: Path, uri: str | None = None) -> Delivery:
    """Deliver the points and files that a run has kept in `.undelivered/RUN_ID`, then remove the folder.

    The run becomes KILLED if it still says RUNNING, so that it can be resumed. A run that is FINISHED has newer files
    and keeps them. If something fails, the folder stays as it is. Delivering twice does no harm.

    Args:
        folder: the folder.
        uri: the address of the store; by default the one that the folder names.

    Raises:
        StoreError: the folder is not such a folder, its run may be training, or the store does not take everything.
    """
    kept = _read_run(folder)
    uri = uri or kept["uri"]
    if HIDDEN in uri:
        raise StoreError(f"{folder} does not keep the password of its store {uri}: set tracking.uri to the address")
    client = existing_client(uri)
    with explain_store_errors(uri):
        run = _find_run(client, uri, kept["run_id"], folder)
        points = _send_points(client, kept["run_id"], folder)
        status = run.info.status
        files = 0 if status == "FINISHED" else send_files(client, kept["run_id"], folder)
        if status == "RUNNING":
            status = kept["status"]
            client.set_terminated(kept["run_id"], status)
    outdated = len(kept_files(folder)) - files
    remove_folder(folder)
    return Delivery(kept["run_id"], points, files, status == "KILLED", uri, outdated)


def _read_run(folder: Path) -> dict[str, str]:
    """Return the content of `run.json`: the store, the run, and the status that the run gets."""
    expected = f"expected a folder {UNDELIVERED}/RUN_ID that a training has left behind"
    try:
        kept = json.loads((folder / RUN).read_text(encoding="utf-8"))
        content = {"uri": str(kept["uri"]), "run_id": str(kept["run_id"]), "status": str(kept["status"] or "KILLED")}
    except OSError as error:
        raise StoreError(f"{folder / RUN} cannot be read ({error.strerror}); {expected}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder / RUN} is damaged ({error}); {expected}") from error
    if content["status"] not in ("KILLED", "FAILED"):
        raise StoreError(f"{folder / RUN} names the status {content['status']}; expected KILLED or FAILED")
    return content


def _find_run(client: mlflow.MlflowClient, uri: str, run_id: str, folder: Path) -> MlflowRun:
    try:
        run = client.get_run(run_id)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != GONE:
            raise
        raise StoreError(f"{uri} has no run {run_id}; set tracking.uri to its store") from error
    if run.info.lifecycle_stage != "active":
        restore = restore_command(uri, run_id)
        raise StoreError(f"run {run_id} was deleted; restore it with `{restore}`, or remove {folder}")
    is_training = run.info.status == "RUNNING" and has_other_process(run.data.tags)
    if is_training:
        raise StoreError(f"run {run_id} is still training, and delivers its points itself; wait for its end")
    if is_training is None:
        command = doctor_command(uri, "hosts=all", "fix=true")
        raise StoreError(
            f"run {run_id} is still RUNNING on {host_of(run.data.tags) or 'an unknown machine'}, whose processes "
            "cannot be seen from here; repeat the command on that machine. If that machine is gone, and no run of "
            f"another machine is training anymore, first: {command}"
        )
    return run


def _send_points(client: mlflow.MlflowClient, run_id: str, folder: Path) -> int:
    """Send all points in order, and return their number."""
    count = 0
    batch: list[Metric] = []
    for points in read_points(folder):
        entities = points.entities()
        if batch and len(batch) + len(entities) > BATCH:
            client.log_batch(run_id, metrics=batch)
            batch = []
        batch += entities
        count += len(entities)
    if batch:
        client.log_batch(run_id, metrics=batch)
    return count
