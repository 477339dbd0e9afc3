"""Results of the pipelines."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from src.results.commands import Interval, RegistrationResult, TrainResult
from src.results.sweep import SweepResult


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, None for a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


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
        metric: that decides about the champion, without a prefix.
    """

    run_id: str | None
    experiment_id: str = ""
    sweep: SweepResult
    seeds: list[int]
    trainings: list[TrainResult]
    registration: RegistrationResult
    metric: str = "accuracy"

    @property
    def mean(self) -> float:
        """The mean of the metric over the seeds, on the test split."""
        return statistics.fmean(self.values(f"test_{self.metric}"))

    @property
    def spread(self) -> float | None:
        """The standard deviation of the metric over the seeds, None for a single one."""
        return standard_deviation(self.values(f"test_{self.metric}"))

    def values(self, name: str) -> list[float]:
        """Return a test metric of each seed."""
        return [training.metrics[name] for training in self.trainings]


class LeaderboardRow(NamedTuple):
    """One network of a comparison.

    Attributes:
        model: its name.
        best_val, best_val_spread: mean and standard deviation over the seeds of the metric on the validation split at
            the best epoch, which ranks the networks; the spread of a single seed is None.
        test, test_spread: the same for the test split.
        seeds: the number of seeds.
        parameters: the number of weights, trainable or not.
        seconds: of training, mean over the seeds.
        size: of `model.keras`, in bytes.
        latency: of one image, in seconds.
        run_id: of the first seed.
        interval: the 95 % interval of `test`, None if a run does not keep its probabilities.
    """

    model: str
    best_val: float
    best_val_spread: float | None
    test: float
    test_spread: float | None
    seeds: int
    parameters: int
    seconds: float
    size: int
    latency: float
    run_id: str
    interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """The result of the pipeline `compare_models`.

    Attributes:
        run_id: the MLflow run of the pipeline.
        experiment_id: of that run.
        rows: one for each network, the best on the validation split first.
        metric: that ranks the networks, without a prefix.
    """

    run_id: str
    experiment_id: str = ""
    rows: list[LeaderboardRow]
    metric: str = "accuracy"


class FoldRow(NamedTuple):
    """One fold of a cross-validation.

    Attributes:
        fold: its number, counted from 1.
        run_id: of the training whose validation split is the fold.
        best_epoch: of that training, counted from 1.
        images: the number of images in the fold.
        metrics: those of the best epoch on the fold, such as `val_accuracy`, and those of the test split if it was
            scored.
    """

    fold: int
    run_id: str
    best_epoch: int
    images: int
    metrics: dict[str, float]


class FoldSummary(NamedTuple):
    """A metric over all folds: the mean, the standard deviation, and the ends of the mean's 95 % interval."""

    mean: float
    spread: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class CrossValidationResult:
    """The result of the pipeline `cross_validate`.

    Attributes:
        run_id: the MLflow run of the pipeline.
        experiment_id: of that run.
        rows: one for each fold.
        summaries: the metrics over all folds, by their names: the monitor, other metrics of the folds, test metrics.
        out_of_fold: metrics of the predictions for all training images, each from the network that was not trained on
            the image; names without a prefix.
        label_issues: the number of labels that these predictions contradict with confidence.
    """

    run_id: str
    experiment_id: str = ""
    rows: list[FoldRow]
    summaries: dict[str, FoldSummary]
    out_of_fold: dict[str, float]
    label_issues: int = 0


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
