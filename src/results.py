"""Results of the commands, as plain values: `run_id` is the only handle between two steps."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

MAX_NAME = 28  # characters of a name in a table or a title, which fit above a picture


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
        warnings: facts that change how to read the metrics, such as a sample in place of the data set.
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
    """The scores of one model on the test split.

    Attributes:
        run_id: the MLflow run that the model came from.
        experiment_id: of that run.
        metrics: `test_loss`, `test_accuracy`.
        images: the number of images scored.
        warnings: facts that change how to read the metrics.
    """

    run_id: str
    experiment_id: str = ""
    metrics: dict[str, float]
    images: int
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ExplanationResult:
    """The explanation of a model's predictions.

    Attributes:
        run_id: the MLflow run that the model came from.
        experiment_id: of that run.
        title, columns, rows: the predictions that are explained, as a table.
        pictures: the paths of the pictures in the run.
        notes: facts that change how to read them.
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
    """The predictions of a model for images.

    Attributes:
        output: the file with a row for each image.
        counts: the number of images predicted as each class.
        bad_files: the files that were skipped, and why.
    """

    output: str
    counts: dict[str, int]
    bad_files: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class RegistrationResult:
    """A run's model in the registry.

    Attributes:
        name: of the registered model.
        version: the number of the run's version.
        is_new: True for a version that was added just now.
        run_id: the run.
        alias: the alias that was to be moved to the version, or None.
        moved: True if it was moved.
        reason: why it was moved, or why not.
        p_value: of McNemar's test against the version that had the alias, None when the two were not compared.
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
        value: the metric at the best epoch; None without one.
        params: by dotted name.
        seconds: from its claim to its end, None while it runs.
        best_epoch: counted from 1; None without one.
        epochs: the number of epochs trained.
        reported: the metric at the end of each epoch, by epoch.
        run_id: its MLflow run.
        interrupted: True for a trial that was stopped or killed.
        reason: why it failed, empty when it did not.
        validation: `best_val_accuracy` and `best_val_loss`; older studies have neither.
        started: when it was claimed, None when that is unknown.
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

    @property
    def outcome(self) -> str:
        """The state, or INTERRUPTED for a trial that was stopped or killed."""
        return "INTERRUPTED" if self.interrupted else self.state

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
    """The result of a sweep.

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
    """The result of the pipeline `best_of_sweep`.

    Attributes:
        run_id: the MLflow run of the pipeline.
        experiment_id: of that run.
        sweep: the result of the sweep.
        seeds: of the final trainings.
        trainings: the best configuration trained again, once for each seed.
        registration: of the first seed's model.
    """

    run_id: str | None
    experiment_id: str = ""
    sweep: SweepResult
    seeds: list[int]
    trainings: list[TrainResult]
    registration: RegistrationResult

    @property
    def mean(self) -> float:
        """The mean of the test accuracies."""
        return statistics.fmean(self._accuracies)

    @property
    def spread(self) -> float | None:
        """The standard deviation of the test accuracies, None for a single one."""
        return standard_deviation(self._accuracies)

    @property
    def _accuracies(self) -> list[float]:
        return [training.metrics["test_accuracy"] for training in self.trainings]


class LeaderboardRow(NamedTuple):
    """One network of a comparison.

    Attributes:
        model: its name.
        best_val_accuracy, best_val_spread: mean and standard deviation over the seeds of the validation accuracy at the
            best epoch, which ranks the networks; the spread of a single seed is None.
        accuracy, spread: the same for the test accuracy.
        seeds: the number of seeds.
        parameters: the number of weights, trainable or not.
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
    """The result of the pipeline `compare_models`.

    Attributes:
        run_id: the MLflow run of the pipeline.
        experiment_id: of that run.
        rows: one for each network, the best by validation accuracy first.
    """

    run_id: str
    experiment_id: str = ""
    rows: list[LeaderboardRow]


class DriftRow(NamedTuple):
    """One comparison between a run and the same run trained again.

    Attributes:
        what: a part of the code, a setting, a package, the data, a metric.
        then, now: its values in the two runs.
        verdict: `same`, `CHANGED`, or `within chance` for a metric that differs no more than in repeated training.
    """

    what: str
    then: str
    now: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ReproductionResult:
    """The result of the pipeline `reproduce`: a run trained again.

    Attributes:
        run_id: the new run.
        experiment_id: of that run.
        reproduces: the old run.
        origin: comparisons of what the runs were trained from: code, settings, packages, data.
        results: comparisons of their metrics.
    """

    run_id: str
    experiment_id: str = ""
    reproduces: str
    origin: list[DriftRow]
    results: list[DriftRow]

    @property
    def changed(self) -> list[str]:
        """The names of everything that changed."""
        return [row.what for row in (*self.origin, *self.results) if row.verdict == "CHANGED"]

    @property
    def is_same(self) -> bool:
        """True if the metrics are the same, even if something else changed."""
        return all(row.verdict != "CHANGED" for row in self.results)
