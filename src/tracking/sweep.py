"""The runs of a sweep: one parent for the study, one child for each trial."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from mlflow.entities import Metric, ViewType
from mlflow.entities import Run as MlflowRun

from src.extensions import PARAM, extension_param
from src.redact import redact
from src.tracking.parents import adopt, find_runs, open_parent
from src.tracking.provenance import origin_tags
from src.tracking.run import Run
from src.tracking.store import Store
from src.tracking.tags import PARENT, STUDY_ID, SWEEP, is_sweep, read_tag


class StudyId(NamedTuple):
    """The identity of a study in its runs: its name, for people, and an id that no other study has."""

    name: str
    unique: str

    def tags(self) -> dict[str, str]:
        return {"study": self.name, STUDY_ID: self.unique}

    def tags_of_trial(self, number: int, retry_of: int | None = None) -> dict[str, str]:
        return self.tags() | {"trial": str(number)} | ({} if retry_of is None else {"retry_of": str(retry_of)})


class TrialRun(NamedTuple):
    """The run of a trial; `extensions` is its param of that name, empty without one."""

    number: int
    run_id: str
    status: str
    parent_run_id: str | None
    extensions: str = ""


def open_parent_run(store: Store, study: StudyId, tags: Mapping[str, str] | None = None) -> tuple[Run, bool]:
    """Return the parent run of a study's trials as it was left, or a new one.

    Args:
        store: from `open_store`.
        study: the name and id of the study.
        tags: further tags of a new run.

    Returns:
        The run, and whether it has no params yet.
    """
    found_by = {STUDY_ID: study.unique, "sweep": "true"}
    return open_parent(store, study.name, found_by, dict(tags or {}) | study.tags() | {SWEEP: "true"})


def has_parent_run(store: Store, study: StudyId) -> bool:
    """Return True if the store has the parent run of a study's trials, or if tracking is off."""
    return store.client is None or bool(find_runs(store, {STUDY_ID: study.unique, "sweep": "true"}))


def record_lost_trial(store: Store, study: StudyId, number: int, *, run_name: str, parent_run_id: str | None) -> None:
    """Mark the run of an interrupted trial KILLED; create one if its worker had not."""
    if store.client is None:
        return
    for found in _search(store, study.tags_of_trial(number)):
        if found.info.status != "KILLED":  # opening the store may have marked it already
            store.client.set_terminated(found.info.run_id, "KILLED")
        return
    run = _new_child(store, study, number, run_name, parent_run_id)
    store.client.set_terminated(run.run_id, "KILLED")  # `end` would also end the wait for a store that does not answer


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
    """Mark the run of a trial that raised an error FAILED; create one if the trial did not get that far.

    Returns:
        The run's id, None when tracking is off.
    """
    if store.client is None:
        return None
    for found in _search(store, study.tags_of_trial(number)):
        if found.info.status == "RUNNING":
            store.client.set_terminated(found.info.run_id, "FAILED")
        return str(found.info.run_id)
    run = _new_child(store, study, number, run_name, parent_run_id)
    run.log_params(params)
    run.end("FAILED", error)
    return run.run_id


def record_skipped_trial(
    store: Store,
    study: StudyId,
    number: int,
    *,
    run_name: str,
    parent_run_id: str | None,
    params: Mapping[str, Any],
    costs: Mapping[str, float],
    reason: str,
) -> str | None:
    """Create the run of a trial that is not trained: with its params, what its network costs, and the reason.

    It is FINISHED with the tag `trial_state=PRUNED`, like that of a trial that was pruned while it trained.

    Returns:
        The run's id, None when tracking is off.
    """
    if store.client is None:
        return None
    run = _new_child(store, study, number, run_name, parent_run_id)
    run.log_params({**params, **extension_param()})
    record_costs(store, run.run_id, costs)
    run.set_tags({"trial_state": "PRUNED", "over_limit": reason})
    run.end("FINISHED")
    return run.run_id


def record_costs(store: Store, run_id: str | None, costs: Mapping[str, float]) -> None:
    """Record what a network costs as metrics of its run, which may have ended."""
    if store.client is not None and run_id is not None and costs:
        now = int(time.time() * 1000)
        store.client.log_batch(run_id, metrics=[Metric(name, cost, now, 0) for name, cost in costs.items()])


def study_runs(store: Store, study: StudyId, *, deleted: bool = False) -> list[TrialRun]:
    """Return the runs of a study's trials in the store's experiment, or those that were deleted there."""
    found = _search(store, {STUDY_ID: study.unique}, ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY)
    return [
        TrialRun(
            int(run.data.tags["trial"]),
            run.info.run_id,
            run.info.status,
            run.data.tags.get(PARENT),
            run.data.params.get(PARAM, ""),
        )
        for run in found
        if run.data.tags.get("trial", "").isdecimal()  # somebody may have removed or edited it
    ]


def adopt_orphans(store: Store, parent_run_id: str, runs: Sequence[TrialRun]) -> int:
    """Put the runs of trials that have another parent under this one, and return their number."""
    orphans = [run.run_id for run in runs if run.parent_run_id != parent_run_id]
    adopt(store, parent_run_id, orphans)
    return len(orphans)


def earlier_parents(store: Store, study: StudyId) -> list[str]:
    """Return the parent runs of other studies with the same name, the oldest first."""
    sweeps = [run for run in find_runs(store, {"sweep": "true"}) if is_sweep(run.data.tags)]
    parents = [run for run in sweeps if run.data.tags.get("study") == redact(study.name)]
    return [run.info.run_id for run in parents if read_tag(run.data.tags, STUDY_ID) != study.unique]


def end_left_runs(store: Store, runs: Sequence[TrialRun], ended: Collection[int]) -> None:
    """Mark RUNNING runs KILLED whose trials have ended.

    Args:
        store: the store of the runs.
        runs: those of a study's trials.
        ended: the numbers of the trials that had ended before `runs` were read: another trial may have begun since.
    """
    for run in runs:
        if store.client is not None and run.status == "RUNNING" and run.number in ended:
            store.client.set_terminated(run.run_id, "KILLED")


def read_config(store: Store, run_id: str) -> dict[str, Any]:
    """Return the resolved config of a run."""
    assert store.client is not None
    return Run(store.client, run_id, store.experiment_id).read_config()


def _new_child(store: Store, study: StudyId, number: int, run_name: str, parent_run_id: str | None) -> Run:
    assert store.client is not None
    tags = origin_tags() | study.tags_of_trial(number)
    if parent_run_id:
        tags[PARENT] = parent_run_id
    created = store.client.create_run(store.experiment_id, run_name=run_name, tags=tags)
    return Run(store.client, created.info.run_id, store.experiment_id)


def tag_run(store: Store, run_id: str | None, tags: Mapping[str, str]) -> None:
    """Add tags to a run that has ended."""
    client, experiment_id = store
    if client is not None and run_id is not None:
        Run(client, run_id, experiment_id).set_tags(tags)


def _search(store: Store, tags: Mapping[str, str], view: int = ViewType.ACTIVE_ONLY) -> list[MlflowRun]:
    """Return the runs of trials that have all these tags. The run of the sweep has the user's tags too, but is skipped.

    The search does not include the study's name, which may contain any kind of quotes.
    """
    found = find_runs(store, {name: value for name, value in tags.items() if name != "study"}, view)
    return [run for run in found if not is_sweep(run.data.tags)]
