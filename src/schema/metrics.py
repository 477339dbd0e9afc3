"""The table of metrics: how each is computed and labeled, and which of two values is better.

A new metric is one entry in `METRICS`, besides the function that computes it. With the entry

    "kappa": Metric(direction="maximize", label="Cohen's kappa", in_test="src.fitting.formulas:kappa")

and `training.metrics=[kappa]`, each epoch has a value `val_kappa` for the validation split, which can be
`training.monitor`. The test split has `test_kappa`, and the best epoch is recorded as `best_val_kappa`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize"]

VALIDATION, TEST, BEST = "val_", "test_", "best_"  # prefixes of metrics; without one it is of the training images
TTA = "tta_"  # before `test_`, of metrics with test-time augmentation; comparisons of runs do not use them


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that says how good a network is. Its name in the table begins with none of the prefixes.

    Attributes:
        direction: `maximize` if larger values are better, `minimize` if smaller ones are.
        label: the label of its axis.
        in_test: `module:name` of the function that computes it for a split, from labels, (n,), and probabilities,
            float32, (n, classes): for the test split, and without `in_epoch` for the validation split in each epoch.
            None for a metric that the test split does not have. For the loss it is the function of the default loss;
            other losses are computed by Keras.
        in_epoch: `module:name` of a Keras metric class, or of a function of `name` that returns a Keras metric; it
            computes the value of each epoch while the network is trained, also for the training images. Such a metric
            is recorded in every run. None for the loss, which Keras computes anyway.
        is_share: True for a share of the images. How far chance moves it follows from their number.
        is_mean_of_classes: True if every class counts the same, no matter how many images it has.
        min_classes: with fewer classes it says nothing.
    """

    direction: Direction
    label: str
    in_test: str | None = None
    in_epoch: str | None = None
    is_share: bool = False
    is_mean_of_classes: bool = False
    min_classes: int = 2


LOSS = "loss"
FORMULAS = "src.fitting.formulas"

METRICS: dict[str, Metric] = {
    LOSS: Metric(direction="minimize", label="loss", in_test=f"{FORMULAS}:cross_entropy"),
    "accuracy": Metric(
        direction="maximize",
        label="accuracy",
        in_epoch="src.fitting.metrics:Accuracy",
        in_test=f"{FORMULAS}:accuracy",
        is_share=True,
    ),
    "balanced_accuracy": Metric(
        direction="maximize",
        label="balanced accuracy",
        in_test=f"{FORMULAS}:balanced_accuracy",
        is_mean_of_classes=True,
    ),
    "macro_f1": Metric(direction="maximize", label="macro F1", in_test=f"{FORMULAS}:macro_f1", is_mean_of_classes=True),
    "macro_precision": Metric(
        direction="maximize",
        label="macro precision",
        in_test=f"{FORMULAS}:macro_precision",
        is_mean_of_classes=True,
    ),
    "macro_recall": Metric(
        direction="maximize", label="macro recall", in_test=f"{FORMULAS}:macro_recall", is_mean_of_classes=True
    ),
    "top5_accuracy": Metric(
        direction="maximize",
        label="top-5 accuracy",
        in_test=f"{FORMULAS}:top5_accuracy",
        is_share=True,
        min_classes=6,
    ),
    "auc": Metric(direction="maximize", label="ROC AUC", in_test=f"{FORMULAS}:auc", is_mean_of_classes=True),
    "brier": Metric(direction="minimize", label="Brier score", in_test=f"{FORMULAS}:brier"),
    "calibration_error": Metric(
        direction="minimize", label="calibration error", in_test=f"{FORMULAS}:calibration_error"
    ),
}


def metric_names(prefix: str = "", among: Collection[str] | None = None) -> list[str]:
    """Return the names of the metrics of one split: the training images, or the split with the prefix.

    A metric without a function for the test split is not among those of `TEST`. The training images have only those
    that Keras computes while it trains.

    Args:
        prefix: of the split.
        among: only these metrics, by their names without a prefix; None for all.
    """
    return [prefix + name for name in METRICS if _is_in_split(name, prefix) and (among is None or name in among)]


def _is_in_split(name: str, prefix: str) -> bool:
    metric = METRICS[name]
    if prefix == TEST:
        return metric.in_test is not None
    return prefix == VALIDATION or name == LOSS or metric.in_epoch is not None


def comparable_metrics() -> list[str]:
    """Return the metrics, without a prefix, by which two models can be compared on the test split."""
    return [name for name, metric in METRICS.items() if metric.in_test]


def comparable_metric(monitor: str) -> str:
    """Return the metric by which models are compared that were trained with this monitor: the same on the test split.

    It is the accuracy if the test split does not have the metric.
    """
    name = monitor.removeprefix(VALIDATION)
    return name if name in comparable_metrics() else "accuracy"


def monitors() -> tuple[str, ...]:
    """Return the metrics that can be `training.monitor`."""
    return (*metric_names(), *metric_names(VALIDATION))


def recorded_metrics(chosen: Collection[str], monitor: str | None = None) -> list[str]:
    """Return the metrics that a run records, in the order of the table, by their names without a prefix.

    Args:
        chosen: `training.metrics`.
        monitor: `training.monitor`, which is recorded in any case, and so are the metrics of the training images.
    """
    names = {*chosen, *metric_names(), (monitor or "").removeprefix(VALIDATION)}
    return [name for name in METRICS if name in names]


def best_metrics(metrics: Mapping[str, float], best_epoch: int) -> dict[str, float]:
    """Return the metrics of the best epoch under names of their own; without a validation split only `best_epoch`.

    MLflow shows a metric's last value. These are the values of the epoch whose weights were kept.
    """
    known = {BEST + name: metrics[name] for name in metric_names(VALIDATION) if name in metrics}
    return known | {"best_epoch": best_epoch}


def find_metric(name: str) -> Metric | None:
    """Return the entry of a metric of any split, such as `val_accuracy` or `best_val_accuracy`; None without one."""
    for prefix in (BEST, VALIDATION, TEST):
        name = name.removeprefix(prefix)
    return METRICS.get(name)


def direction_of(name: str) -> Direction:
    """Return the direction of a metric of any split.

    Raises:
        KeyError: it is not in the table.
    """
    metric = find_metric(name)
    if metric is None:
        raise KeyError(name)
    return metric.direction


def sign_of(direction: str) -> int:
    """Return 1 if larger values are better, -1 if smaller ones are: the better of two values has the larger product."""
    return 1 if direction == "maximize" else -1


def is_better(value: float, best: float | None, direction: str) -> bool:
    """Return True if the value is better than the best so far, or if there is none; an equal one is not."""
    return best is None or sign_of(direction) * value > sign_of(direction) * best
