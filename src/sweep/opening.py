"""Opening a sweep: its study and its MLflow run, new or resumed."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from src import console, study, tracking
from src.errors import ConfigError
from src.extensions import PARAM
from src.redact import redact
from src.results import TrialRow, trial_name
from src.space import SweepPlan, places_of, searched_places
from src.sweep.chains import Chains
from src.sweep.job import Job
from src.sweep.origin import describe_changes, origin
from src.sweep.runs import open_parent, runs_of_trials, warnings_of
from src.sweep.setting import Data, describe_setting, setting_digest


@dataclass
class Sweep:
    """An open sweep.

    Attributes:
        plan: its checked settings.
        job: the job of its workers.
        claims: its trials.
        store: the store of its runs.
        parent: its own MLflow run, the parent of the trials' runs.
        data: its data sets.
        warnings: what a reader of its results must know.
    """

    plan: SweepPlan
    job: Job
    claims: study.Claims
    store: tracking.Store
    parent: tracking.Run
    data: Sequence[Data]
    warnings: Sequence[str]

    @property
    def chains(self) -> Chains:
        """The checkpoints of the trials."""
        return Chains(self.plan, self.job.study)


def open_sweep(
    plan: SweepPlan,
    definition: Mapping[str, Any],
    n_trials: int,
    storage: study.Storage,
    store: tracking.Store,
    data: Sequence[Data],
    joins: bool = False,
    order: study.Order | None = None,
) -> Sweep:
    """Create the study and its MLflow run, or resume them, and warn of runs that are gone.

    Args:
        plan: the checked settings of the sweep.
        definition: of the sweep, from `src.space.define`.
        n_trials: how many trials the study has in the end.
        storage: the storage of the study.
        store: the store of the runs.
        data: the data sets of the sweep.
        joins: True if the plan comes from the study, whose definition then stays as it is.
        order: for a study that is joined, None to keep the one that it has.

    Raises:
        ConfigError: a study of this name was made with other settings, or the run of a study that exists is missing.
        StoreError: one of the stores failed.
    """
    for found in data:
        for note in found.notes:
            console.say(note)
        console.warn(found.warnings)
    setting = describe_setting(plan, data)
    name = plan.settings.study_name or f"{plan.name}-{setting_digest(setting)}"

    changes: list[str] = []  # of the origin, found before it is replaced: `open_both` may be repeated

    def open_both() -> tuple[tracking.StudyId, tracking.Run, list[TrialRow]]:
        with storage.exclusive(f"study {name}"):
            directions = [objective.direction for objective in plan.objectives]
            names = [objective.name for objective in plan.objectives]
            opened = study.open_study(name, storage.optuna, *directions, names=names)
            study.check_setting(opened, setting, plan.space.dimensions, plan.settings.on_change, joins)
            if not joins and not searched_places(plan):
                now = origin()
                then = opened.user_attrs.get(study.ORIGIN, now)
                if differing := describe_changes({**then, PARAM: ""}, {**now, PARAM: ""}):  # extensions: `warnings_of`
                    changes.append(differing)
                study.keep_definition(opened, definition, now)
            rows = study.trial_rows(opened.get_trials(deepcopy=False))
            study_id = tracking.StudyId(name, study.unique_id(opened))
            if joins and not tracking.has_parent_run(store, study_id):
                raise ConfigError(
                    f"the run of the study {name!r} is not in {redact(plan.tracking.uri)}; name the store that has it, "
                    "with MLFLOW_TRACKING_URI or tracking.uri=ADDRESS. If the run was deleted, run the sweep's command"
                )
            placed = order if joins else study.Order(n_trials, deadline_of(plan))
            if placed is not None:
                study.place_order(opened, placed)
                study.ask_to_stop(opened, False)
            return study_id, open_parent(store, study_id, plan, data), rows

    with tracking.explain_store_errors(plan.tracking.uri):
        study_id, parent, rows = storage.patience.call(open_both)
        runs = runs_of_trials(store, study_id, parent)
        warnings = warnings_of(store, study_id, plan.tracking, rows, runs)
        if changes:
            warnings = [
                f"the study {name!r} was made with other code or packages: {platform.node()} has {changes[0]}. "
                "Its trials still count, and from now on only machines that have the same can work on it",
                *warnings,
            ]
    console.warn(warnings)
    job = Job(
        definition=definition,
        places=places_of(plan),
        study=study_id,
        parent_run_id=parent.run_id,
        n_trials=n_trials,
        first=len(rows),
        starter=uuid.uuid4().hex,
        deadline=None if plan.settings.timeout is None else time.monotonic() + plan.settings.timeout,
    )

    def record_loss(number: int) -> None:
        tracking.record_lost_trial(store, study_id, number, run_name=trial_name(number), parent_run_id=parent.run_id)

    chains = Chains(plan, study_id)
    claims = study.Claims(
        name, storage, plan.settings, n_trials=job.n_trials, first=job.first, on_dead=record_loss, epoch_of=chains.epoch
    )
    all_warnings = [line for found in data for line in found.warnings] + ["\n".join(warnings)] * bool(warnings)
    return Sweep(plan, job, claims, store, parent, data, all_warnings)


def deadline_of(plan: SweepPlan) -> float | None:
    """Return the time after which no further trial starts, in seconds since 1970; None without a timeout."""
    return None if plan.settings.timeout is None else time.time() + plan.settings.timeout
