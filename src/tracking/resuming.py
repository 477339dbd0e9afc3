"""Interrupted runs that are resumed: found, checked, and continued with the points that they have."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

import mlflow
from filelock import FileLock
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException

from src.errors import StoreError, first_line
from src.links import doctor_command, restore_command
from src.places import store_folder
from src.schema import TrackingConfig
from src.tracking.abandoned import end_abandoned_runs
from src.tracking.artifacts import temporary_folder
from src.tracking.outage import Outages, PatientClient
from src.tracking.points import points_of
from src.tracking.probes import GONE
from src.tracking.process import has_process
from src.tracking.provenance import process_tags
from src.tracking.run import Run
from src.tracking.store import (
    Store,
    check_exists,
    client_of,
    explain_refusal,
    explain_unusable_store,
    prepare_store,
)
from src.tracking.tags import (
    ART,
    COMMAND,
    PARENT,
    PLANNED,
    STUDY_ID,
    filter_by,
    host_of,
    is_parent,
    is_trial,
    read_tag,
    renamed_tags,
)
from src.tracking.undelivered import Undelivered

RESUMED = "resumed"  # the tag with the epochs after which a run was resumed
CHANGED = "resumed_with"  # the tag with the changes of code and packages that on_change=continue has accepted
UPLOADED = "checkpoint"  # the artifact with the last checkpoint of an interrupted run
WRITTEN = "checkpoint/seconds"  # the metric with a point for each checkpoint that was written


def interrupted_run(
    config: TrackingConfig, run_id: str, say: Callable[[str], None], art: str | None = None
) -> tuple[Store, Run]:
    """Return a run that can be resumed, and the store with its experiment.

    Args:
        config: names the store.
        run_id: the id of the run.
        say: prints a line in the terminal when the store does not answer for a while.
        art: the command that makes pictures, `dream` or `style`; None for trainings.

    Raises:
        StoreError: there is no such run, or it cannot be resumed; the message says why and what to do.
    """
    if not config.enabled:
        raise StoreError("tracking=off: an interrupted run is read from the tracking store; remove `tracking=off`")
    with explain_unusable_store(config.uri):
        check_exists(config.uri)
        prepare_store(config.uri)
        client = client_of(config.uri)
    found = _find(client, config.uri, run_id)
    end_abandoned_runs(client, found.info.experiment_id)
    found = _find(client, config.uri, run_id)
    if (made := read_tag(found.data.tags, ART)) != art:
        raise StoreError(f"run {run_id} is that of another command; resume it with python -m src.{made or 'train'}")
    _check_resumable(found, config.uri)
    run = Run(client, run_id, found.info.experiment_id)
    run.params, run.tags, run.status = found.data.params, found.data.tags, found.info.status
    return Store(PatientClient(client, Outages(config.uri, say)), found.info.experiment_id), run


def last_checkpoint(store: Store, run_id: str) -> int:
    """Return the epoch after which a run has last written a checkpoint, 0 if it has written none."""
    assert store.client is not None
    if WRITTEN not in store.client.get_run(run_id).data.metrics:
        return 0
    return max(points_of(store.client, run_id, WRITTEN), key=lambda point: (point.timestamp, point.step)).step


def _check_resumable(found: mlflow.entities.Run, uri: str) -> None:
    """Raise StoreError if a run cannot be resumed; the message says why and what to do."""
    tags, status, run_id = found.data.tags, found.info.status, found.info.run_id
    if found.info.lifecycle_stage != "active":
        restore = restore_command(uri, run_id)
        raise StoreError(f"run {run_id} was deleted; restore it: {restore}")
    if is_parent(tags):
        command = tags.get(COMMAND)
        how = f"resume it with: {command}" if command else "run the same command again, which resumes it"
        raise StoreError(f"run {run_id} is that of a sweep or a pipeline; {how}")
    if (study := read_tag(tags, STUDY_ID)) is not None and "trial" in tags:
        name = tags.get("study", study)
        raise StoreError(
            f"run {run_id} is trial {tags['trial']} of study {name}; run the command of the sweep again, which "
            "continues the trial"
        )
    if status == "FINISHED" and read_tag(tags, ART) is not None:
        raise StoreError(f"run {run_id} is finished, so nothing is left to resume; its picture is picture.png there")
    if status == "FINISHED":
        raise StoreError(
            f"run {run_id} is finished, so nothing is left to resume; to train on from its weights: "
            f"training.initial_weights={run_id}"
        )
    if status in ("RUNNING", "SCHEDULED"):
        if has_process(tags):
            raise StoreError(f"run {run_id} is still {status}: a process of this machine trains it; wait for its end")
        command = doctor_command(uri, "hosts=all", "fix=true")
        raise StoreError(
            f"run {run_id} is still {status} on {host_of(tags) or 'an unknown machine'}; wait for its end. If no run "
            f"of another machine is training anymore: {command}"
        )


def interrupted_runs(store: Store, planned: str, parent_run_id: str | None) -> list[str]:
    """Return the ids of the interrupted runs of a training under a parent, the newest first.

    Runs of trials are not among them: only their sweep continues them.

    Args:
        store: from `open_store`.
        planned: the fingerprint of the training.
        parent_run_id: the run under which the training is shown.
    """
    if store.client is None:
        return []
    tags = {PLANNED: planned} | ({PARENT: parent_run_id} if parent_run_id else {})
    found = store.client.search_runs(
        [store.experiment_id],
        f"{filter_by(tags)} and attributes.status = 'KILLED'",
        order_by=["attributes.start_time DESC"],
    )
    return [run.info.run_id for run in found if not is_trial(run.data.tags)]


def take_over(store: Store, run_id: str, tags: Mapping[str, str]) -> Run:
    """Return an interrupted run that this process continues, with the points that are recorded in it.

    Points and files that an earlier process could not deliver are delivered now.

    Args:
        store: the store with the run's experiment.
        run_id: the id of the run.
        tags: added to those of the run.

    Raises:
        StoreError: another process has resumed or finished it in the meantime.
    """
    client, experiment_id = store
    assert client is not None
    run = Run(client, run_id, experiment_id)
    with alone(client.tracking_uri, run_id):
        found = client.get_run(run_id)
        _check_resumable(found, client.tracking_uri)
        if (kept := run.undelivered) is not None:
            _deliver_files(kept, client)
            found = client.get_run(run_id)  # it may have taken long
            _check_resumable(found, client.tracking_uri)
        points = {name: points_of(client, run_id, name) for name in found.data.metrics}
        run.model_ids = _finished_models(client, experiment_id, run_id)
        # Nothing that may take long or fail comes after this: the run would stay RUNNING.
        run.set_tags({**renamed_tags(found.data.tags), **process_tags(), **tags})  # first: a RUNNING run has a process
        run.set_running()
    found = client.get_run(run_id)
    run.params, run.tags = found.data.params, found.data.tags
    run.continue_from({name: {point.step: point.value for point in of_name} for name, of_name in points.items()})
    return run


def _deliver_files(kept: Undelivered, client: mlflow.MlflowClient) -> None:
    """Deliver the files that an earlier process kept, before the training writes newer ones."""
    try:
        kept.deliver_files(client)
    except Exception as error:
        error.add_note(kept.advice)
        raise


@contextlib.contextmanager
def alone(uri: str, run_id: str) -> Iterator[None]:
    """Let one process of this machine at a time change a run in the block; later ones see what the first one has done.

    Processes wait for each other if they use the same SQLite store, or the same server from the same working folder.
    """
    folder = store_folder(uri)
    if not os.access(folder, os.W_OK | os.X_OK):  # of a container that uses a server
        folder = temporary_folder()
    file = folder / f".{run_id}.lock"
    with FileLock(file):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def _finished_models(client: mlflow.MlflowClient, experiment_id: str, run_id: str) -> list[str]:
    """Return the ids of the models that a run has logged completely, the last one at the end."""
    found = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
    ready = [model for model in found if model.status == LoggedModelStatus.READY]
    return [model.model_id for model in sorted(ready, key=lambda model: model.creation_timestamp)]


def _find(client: mlflow.MlflowClient, uri: str, run_id: str) -> mlflow.entities.Run:
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        problem = f"{uri} has no run {run_id}; set tracking.uri to its store" if error.error_code == GONE else None
        with contextlib.suppress(Exception):
            problem = problem or explain_refusal(uri, error)
        raise StoreError(problem or f"{uri} has no run {run_id}: {first_line(error)}") from error
