"""Results of a sweep: its trials, its parameters, its best trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


class TrialRow(NamedTuple):
    """One trial.

    Attributes:
        number: counted from 0.
        state: COMPLETE, PRUNED, FAIL, RUNNING or WAITING.
        value: the first objective, such as the metric at the best epoch; None without one.
        params: by dotted name.
        seconds: from its claim to its end, None while it runs.
        best_epoch: counted from 1; None without one.
        epochs: the number of epochs trained.
        reported: the metric at the end of each epoch, by epoch.
        run_id: its MLflow run.
        interrupted: True for a trial that was stopped or killed.
        reason: why it failed, was not trained or is over a limit now, else empty.
        validation: `best_val_accuracy` and `best_val_loss`; older studies have neither.
        started: when it was claimed, None when that is unknown.
        attempts: the number of attempts after which an interrupted trial is not tried again, 0 for any other trial.
        costs: those of its network that were measured, by the names of `src.schema.costs`.
        excess: the costs that are above the limits of the study, in words; empty if there are none.
        others: the values of the second and third objective; empty with one objective, or without a value.
    """

    number: int
    state: str
    value: float | None
    params: dict[str, str | int | float | bool | None]
    seconds: float | None
    best_epoch: int | None
    epochs: int
    reported: dict[int, float]
    run_id: str | None
    interrupted: bool
    reason: str
    validation: Mapping[str, float] = {}
    started: datetime | None = None
    attempts: int = 0
    costs: Mapping[str, float] = {}
    excess: str = ""
    others: tuple[float, ...] = ()

    @property
    def values(self) -> tuple[float, ...]:
        """The value of each objective, empty without one."""
        return () if self.value is None else (self.value, *self.others)

    @property
    def is_comparable(self) -> bool:
        """True if it can be the best: it is complete and feasible."""
        return self.state == "COMPLETE" and self.value is not None and self.is_feasible

    @property
    def outcome(self) -> str:
        """The state, or INTERRUPTED for a trial that was stopped or killed."""
        return "INTERRUPTED" if self.interrupted else self.state

    @property
    def is_feasible(self) -> bool:
        """True if its network is within the limits, as far as its costs are known."""
        return not self.excess

    @property
    def is_skipped(self) -> bool:
        """True if its network was not trained because it is over a limit; the reason says which."""
        return self.state == "PRUNED" and bool(self.reason)

    @property
    def best_metrics(self) -> dict[str, float]:
        """The metrics of its best epoch that the study has, such as `best_val_loss`, and `best_epoch`."""
        return {**self.validation} if self.best_epoch is None else {**self.validation, "best_epoch": self.best_epoch}


class Parameter(NamedTuple):
    """One dimension of a study's search space.

    Attributes:
        name: dotted name.
        importance: its share of the importance of all parameters, 0-1; None when the trials do not show it.
        is_log: whether it is sampled on a log scale.
        choices: the values to choose from, None for a number from an interval.
    """

    name: str
    importance: float | None = None
    is_log: bool = False
    choices: tuple[str | int | float | bool | None, ...] | None = None


def trial_name(number: int) -> str:
    """Return the name of a trial's run: `trial-007`."""
    return f"trial-{number:03}"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The numbers of a study's trials by state.

    Attributes:
        complete, pruned, failed: trials that count toward `n_trials`.
        running: trials that a worker trains now.
        retried: interrupted trials that were retried, or will be.
        skipped: those of the pruned trials that were not trained because their network is over a limit.
    """

    complete: int
    pruned: int
    failed: int
    running: int
    retried: int
    skipped: int = 0

    @property
    def counted(self) -> int:
        return self.complete + self.pruned + self.failed

    @property
    def total(self) -> int:
        """The number of all trials."""
        return self.counted + self.running + self.retried


class FrontPoint(NamedTuple):
    """A trial that no other trial dominates.

    Attributes:
        trial: its number.
        values: its value of each objective, by name.
        params: its parameters, by dotted name.
        run_id: its MLflow run, or None when the run is gone.
        best_epoch: its epoch with these values, counted from 1.
        metrics: those of its best epoch that are known, such as `best_val_loss`, and `best_epoch`.
        config: the resolved configuration that it was trained with, or None when that is no longer known.
        costs: of its network, as they were measured last.
    """

    trial: int
    values: dict[str, float]
    params: dict[str, str | int | float | bool | None]
    run_id: str | None = None
    best_epoch: int | None = None
    metrics: Mapping[str, float] = {}
    config: Mapping[str, Any] | None = None
    costs: Mapping[str, float] = {}


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """The result of a sweep. With several objectives it has a front, and no best trial unless one was chosen.

    Attributes:
        study_name: of the Optuna study.
        run_id: the MLflow run that is the parent of the trials' runs, or None when tracking is off.
        counts: the numbers of trials by state.
        best_trial: the number of the best trial, or None when none was completed.
        best_value: its metric at its best epoch.
        best_run_id: its MLflow run, or None when the run is gone.
        best_params: its parameters, by dotted name.
        best_metrics: those of its best epoch that are known, such as `best_val_loss`, and `best_epoch`.
        best_epoch: its epoch with that value, counted from 1.
        best_costs: those of its network, as far as the study asks for them.
        best_config: the resolved configuration that it was trained with, or None when that is no longer known.
        given_up: the number of each interrupted trial that is not tried again -> its attempts.
        front: the trials that no other dominates, the best in the first objective first; empty with one objective.
        chosen: the reason why the best trial was chosen from the front, empty with one objective.
    """

    study_name: str
    run_id: str | None
    counts: Counts
    best_trial: int | None = None
    best_value: float | None = None
    best_run_id: str | None = None
    best_params: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    best_metrics: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    best_costs: Mapping[str, float] = field(default_factory=dict)
    best_config: Mapping[str, Any] | None = None
    given_up: Mapping[int, int] = field(default_factory=dict)
    front: Sequence[FrontPoint] = ()
    chosen: str = ""
