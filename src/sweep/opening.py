"""Opening a sweep: its study and its MLflow run, new or resumed."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from src import console, study, tracking
from src.results import TrialRow, trial_name
from src.schema import Scalar
from src.space import SweepPlan
from src.sweep.chains import Chains
from src.sweep.runs import open_parent, runs_of_trials, warnings_of
from src.sweep.setting import Data, describe_setting, setting_digest
from src.sweep.worker import Job


@dataclass
class Sweep:
    """An open sweep.

    Attributes:
        job: the job of its workers.
        claims: its trials.
        store: the store of its runs.
        parent: its own MLflow run, the parent of the trials' runs.
        data: its data sets.
        warnings: what a reader of its results must know.
    """

    job: Job
    claims: study.Claims
    store: tracking.Store
    parent: tracking.Run
    data: Sequence[Data]
    warnings: Sequence[str]

    @property
    def plan(self) -> SweepPlan:
        """The checked settings of the sweep."""
        return self.job.plan

    @property
    def chains(self) -> Chains:
        """The checkpoints of the trials."""
        return Chains(self.plan, self.job.study)


def open_sweep(
    plan: SweepPlan,
    queue: list[dict[str, Scalar]],
    storage: study.Storage,
    store: tracking.Store,
    data: Sequence[Data],
) -> Sweep:
    """Create the study and its MLflow run, or resume them, and warn of runs that are gone.

    Args:
        plan: the checked settings of the sweep.
        queue: the parameters of the first trials.
        storage: the storage of the study.
        store: the store of the runs.
        data: the data sets of the sweep.

    Raises:
        ConfigError: a study of this name was made with other settings.
        StoreError: one of the stores failed.
    """
    for found in data:
        console.warn(found.warnings)
    setting = describe_setting(plan, data)
    name = plan.settings.study_name or f"{plan.name}-{setting_digest(setting)}"

    def open_both() -> tuple[tracking.StudyId, tracking.Run, list[TrialRow]]:
        with storage.exclusive(f"study {name}"):
            opened = study.open_study(name, storage.optuna, plan.direction)
            study.check_setting(opened, setting, plan.space.dimensions, plan.settings.on_change)
            study.ask_to_stop(opened, False)
            rows = study.trial_rows(opened.get_trials(deepcopy=False))
            study_id = tracking.StudyId(name, study.unique_id(opened))
            return study_id, open_parent(store, study_id, plan, data), rows

    with tracking.explain_store_errors(plan.tracking.uri):
        study_id, parent, rows = storage.patience.call(open_both)
        runs = runs_of_trials(store, study_id, parent)
        warnings = warnings_of(store, study_id, plan.tracking, rows, runs)
    console.warn(warnings)
    job = Job(
        plan=plan,
        study=study_id,
        parent_run_id=parent.run_id,
        n_trials=count_trials(plan, queue),
        queue=queue,
        first=len(rows),
        starter=uuid.uuid4().hex,
        deadline=None if plan.settings.timeout is None else time.monotonic() + plan.settings.timeout,
    )

    def record_loss(number: int) -> None:
        tracking.record_lost_trial(store, study_id, number, run_name=trial_name(number), parent_run_id=parent.run_id)

    chains = Chains(plan, study_id)
    claims = study.Claims(
        name, storage, plan.settings, n_trials=job.n_trials, on_dead=record_loss, epoch_of=chains.epoch
    )
    all_warnings = [line for found in data for line in found.warnings] + ["\n".join(warnings)] * bool(warnings)
    return Sweep(job, claims, store, parent, data, all_warnings)


def count_trials(plan: SweepPlan, queue: Sequence[dict[str, Scalar]]) -> int:
    """Return how many trials the study has in the end: the number that was set, but no more than a grid has."""
    limit = len(queue) if is_grid(plan) else sys.maxsize
    return min(plan.settings.n_trials or limit, limit)


def first_trials(plan: SweepPlan) -> list[dict[str, Scalar]]:
    """Return the parameters that are tried before the sampler is asked: a whole grid, or the configuration's own."""
    if is_grid(plan):
        return plan.space.grid()
    return [plan.space.defaults()] if plan.settings.enqueue_default else []


def is_grid(plan: SweepPlan) -> bool:
    """Return whether every combination is tried, and the sampler is never asked."""
    return plan.settings.sampler.is_exhaustive
