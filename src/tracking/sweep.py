"""The runs of a sweep: one parent for the study, one child for each trial."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlflow.entities import Run as MlflowRun

from src.interrupt import deferred
from src.tracking.provenance import origin_tags
from src.tracking.run import Run
from src.tracking.store import Store


class StudyId(NamedTuple):
    """What the runs of a study are found by: its name, which people read, and an id that no other study ever has."""

    name: str
    unique: str

    def tags(self) -> dict[str, str]:
        return {"study": self.name, "study_id": self.unique}

    def tags_of_trial(self, number: int) -> dict[str, str]:
        return self.tags() | {"trial": str(number)}


def open_parent_run(store: Store, study: StudyId) -> tuple[Run, bool]:
    """The run that a study's trials stand under, RUNNING again when it exists already.

    Returns:
        The run, and whether it is new.
    """
    client, experiment_id = store
    if client is None:
        return Run(None, "", ""), True
    tags = study.tags() | {"sweep": "true"}
    for found in _search(store, tags):
        client.update_run(found.info.run_id, status="RUNNING")
        return Run(client, found.info.run_id, experiment_id), False
    with deferred():
        created = client.create_run(experiment_id, run_name=study.name, tags=origin_tags() | tags)
    run = Run(client, created.info.run_id, experiment_id)
    run.log_environment()
    return run, True


def end_run_of_dead_trial(store: Store, study: StudyId, number: int) -> None:
    """Marks what a killed worker left RUNNING as KILLED."""
    for run in _search(store, study.tags_of_trial(number)):
        if store.client is not None and run.info.status == "RUNNING":
            store.client.set_terminated(run.info.run_id, "KILLED")


def record_failed_trial(
    store: Store,
    study: StudyId,
    number: int,
    *,
    run_name: str,
    parent_run_id: str | None,
    params: Mapping[str, Any],
    error: BaseException,
) -> str | None:
    """The FAILED run of a trial that raised: the one that it began, or a new one when it could not even begin.

    Returns:
        The run's id, None when tracking is off.
    """
    client, experiment_id = store
    if client is None:
        return None
    for found in _search(store, study.tags_of_trial(number)):
        return str(found.info.run_id)
    tags = origin_tags() | study.tags_of_trial(number)
    if parent_run_id:
        tags["mlflow.parentRunId"] = parent_run_id
    created = client.create_run(experiment_id, run_name=run_name, tags=tags)
    run = Run(client, created.info.run_id, experiment_id)
    run.log_params(params)
    run.end("FAILED", error)
    return run.run_id


def tag_run(store: Store, run_id: str | None, tags: Mapping[str, str]) -> None:
    """Adds tags to a run that has ended."""
    client, experiment_id = store
    if client is not None and run_id is not None:
        Run(client, run_id, experiment_id).set_tags(tags)


def _search(store: Store, tags: Mapping[str, str]) -> list[MlflowRun]:
    """The runs that have all these tags. Names are left out of the search: they may hold any kind of quotes."""
    client, experiment_id = store
    if client is None:
        return []
    wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items() if name != "study")
    return list(client.search_runs([experiment_id], filter_string=wanted, order_by=["attributes.start_time ASC"]))
