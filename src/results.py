"""Results of the commands, as plain values: `run_id` is the only handle between two steps."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# MLflow shows a metric's last value. These are the values of the epoch whose weights were kept.
BEST_METRICS = ("best_val_accuracy", "best_val_loss", "best_epoch")
MAX_NAME = 28  # characters of a name in a table or a title: so many fit above a picture


def best_metrics(metrics: Mapping[str, float], best_epoch: int) -> dict[str, float]:
    """Return the metrics of the best epoch under names of their own; without a validation split only `best_epoch`."""
    named = {f"best_{name}": value for name, value in metrics.items()} | {"best_epoch": best_epoch}
    return {name: named[name] for name in BEST_METRICS if name in named}


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, None for a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def format_metric(value: float | None) -> str:
    """Return the value with four decimals, `-` when there is none."""
    return "-" if value is None else f"{value:.4f}"


def printable(text: str) -> str:
    """Return the text on one line, with a placeholder for each character that cannot be shown, such as a line break."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def short_name(name: str) -> str:
    """Return a name that fits on one line; of a long one only the end is shown, where the names of files differ."""
    shown = printable(name)
    return shown if len(shown) <= MAX_NAME else "\N{HORIZONTAL ELLIPSIS}" + shown[1 - MAX_NAME :]


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The result of one training run.

    Attributes:
        run_id: the MLflow run, or None when tracking is off.
        experiment_id: of that run.
        best_epoch: the epoch whose weights were kept, counted from 1.
        metrics: the metrics of that epoch, and `test_loss` and `test_accuracy` when the test split was scored.
        history: metric name -> one value per epoch.
        stopped: why training ended before its last epoch (`early_stopping`, `observer`, `last_epoch`), or None.
        warnings: what a reader of the figures must know, such as a stand-in data set.
    """

    run_id: str | None
    experiment_id: str = ""
    best_epoch: int
    metrics: dict[str, float]
    history: dict[str, list[float]]
    stopped: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """What one model scored on the test split.

    Attributes:
        run_id: the MLflow run that the model came from.
        experiment_id: of that run.
        metrics: `test_loss`, `test_accuracy`.
        images: the number of images scored.
        warnings: what a reader of the metrics must know.
    """

    run_id: str
    experiment_id: str = ""
    metrics: dict[str, float]
    images: int
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ExplanationResult:
    """What a look inside a model gave.

    Attributes:
        run_id: the MLflow run that the model came from.
        experiment_id: of that run.
        title, columns, rows: the predictions that were looked at, as a table.
        pictures: where the pictures are in the run.
        notes: what a reader of them must know.
    """

    run_id: str
    experiment_id: str = ""
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    pictures: list[str]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class PredictionResult:
    """What a model said of images.

    Attributes:
        output: the file with a row for each image.
        counts: how many images it put into each class.
        bad_files: what was passed over, and why.
    """

    output: str
    counts: dict[str, int]
    bad_files: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class RegistrationResult:
    """Where a run's model stands in the registry.

    Attributes:
        name: of the registered model.
        version: the run's version of it.
        is_new: whether it was registered just now.
        run_id: the run.
        alias: what was to be moved to the version, or None.
        moved: whether it was.
        reason: why.
        p_value: of McNemar's test against the version that had the alias, None where the two were not compared.
    """

    name: str
    version: int
    is_new: bool
    run_id: str
    alias: str | None
    moved: bool
    reason: str
    p_value: float | None = None


class TrialRow(NamedTuple):
    """One trial.

    Attributes:
        number: counted from 0.
        state: COMPLETE, PRUNED, FAIL, RUNNING or WAITING.
        value: the metric at the best epoch; None when there is none.
        params: by dotted name.
        seconds: from its claim to its end, None while it runs.
        best_epoch: counted from 1, None when there is none.
        epochs: how many were trained.
        reported: the metric at the end of each epoch, by epoch.
        run_id: its MLflow run.
        interrupted: whether it was stopped or killed.
        reason: why it failed, empty when it did not.
        validation: `best_val_accuracy` and `best_val_loss`; older studies have neither.
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

    @property
    def best_metrics(self) -> dict[str, float]:
        """The metrics of `BEST_METRICS` that the study has for this trial."""
        return {**self.validation} if self.best_epoch is None else {**self.validation, "best_epoch": self.best_epoch}


def trial_name(number: int) -> str:
    """`trial-007`, as the run of a trial is called."""
    return f"trial-{number:03}"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How a study stands.

    Attributes:
        complete, pruned, failed: trials that count towards `n_trials`.
        running: trials that somebody runs.
        retried: interrupted trials that were tried again, or still will be.
    """

    complete: int
    pruned: int
    failed: int
    running: int
    retried: int

    @property
    def counted(self) -> int:
        return self.complete + self.pruned + self.failed

    @property
    def total(self) -> int:
        """The number of all trials."""
        return self.counted + self.running + self.retried


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """Where a sweep stands at its end.

    Attributes:
        study_name: of the Optuna study.
        run_id: the MLflow run that the trials' runs stand under, or None when tracking is off.
        counts: how many trials ended how.
        best_trial: the number of the best trial, or None when none was completed.
        best_value: its metric at its best epoch.
        best_run_id: its MLflow run, or None when that is gone.
        best_params: its parameters, by dotted name.
        best_metrics: those of `BEST_METRICS` that are known for it.
        best_epoch: its epoch with that value, counted from 1.
        best_config: the resolved configuration that it was trained with, or None when that is no longer known.
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
    best_config: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class BestOfSweepResult:
    """What came of a sweep.

    Attributes:
        run_id: the MLflow run of the pipeline.
        experiment_id: of that run.
        sweep: how the sweep stands.
        seeds: of the final trainings.
        finals: the best configuration trained again, for each seed.
        registration: of the first seed's model.
    """

    run_id: str | None
    experiment_id: str = ""
    sweep: SweepResult
    seeds: list[int]
    finals: list[TrainResult]
    registration: RegistrationResult

    @property
    def mean(self) -> float:
        """Of the test accuracies."""
        return statistics.fmean(self._accuracies)

    @property
    def spread(self) -> float | None:
        """Standard deviation of the test accuracies, None for a single one."""
        return standard_deviation(self._accuracies)

    @property
    def _accuracies(self) -> list[float]:
        return [final.metrics["test_accuracy"] for final in self.finals]


class LeaderboardRow(NamedTuple):
    """One network of a comparison.

    Attributes:
        model: its name.
        best_val_accuracy, best_val_spread: mean and standard deviation over the seeds of the validation accuracy at the
            best epoch, which ranks the networks; a single seed has no spread.
        accuracy, spread: the same for the test accuracy.
        seeds: how many.
        parameters: weights, those that do not train too.
        seconds: of training, mean over the seeds.
        size: of `model.keras`, in bytes.
        latency: of one image, in seconds.
        run_id: of the first seed.
    """

    model: str
    best_val_accuracy: float
    best_val_spread: float | None
    accuracy: float
    spread: float | None
    seeds: int
    parameters: int
    seconds: float
    size: int
    latency: float
    run_id: str


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """A comparison.

    Attributes:
        run_id: the MLflow run of the pipeline.
        experiment_id: of that run.
        rows: of the networks, the best by validation accuracy first.
    """

    run_id: str
    experiment_id: str = ""
    rows: list[LeaderboardRow]


class DriftRow(NamedTuple):
    """One thing that was looked at when a run was trained again.

    Attributes:
        what: a part of the code, a setting, a package, the data, a metric.
        then, now: how it was and how it is.
        verdict: `same`, `CHANGED`, or `within chance` for a metric that differs no more than repeated training does.
    """

    what: str
    then: str
    now: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ReproductionResult:
    """A run trained again.

    Attributes:
        run_id: the new run.
        experiment_id: of that run.
        reproduces: the old one.
        origin: what went into it.
        results: what came out of it.
    """

    run_id: str
    experiment_id: str = ""
    reproduces: str
    origin: list[DriftRow]
    results: list[DriftRow]

    @property
    def changed(self) -> list[str]:
        """What changed, of all that was looked at."""
        return [row.what for row in (*self.origin, *self.results) if row.verdict == "CHANGED"]

    @property
    def is_same(self) -> bool:
        """Whether the result is, whatever changed on the way to it."""
        return all(row.verdict != "CHANGED" for row in self.results)
