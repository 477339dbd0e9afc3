"""The table of metrics: how each is computed and labeled, and which of two values is better.

A new metric is one entry in `METRICS`, besides the class and the function that compute it. With the entry

    "top_5": Metric(
        direction="maximize",
        label="accuracy of the best five",
        in_epoch="keras.metrics:SparseTopKCategoricalAccuracy",
        in_test="src.fitting.metrics:top_5",
    )

each epoch has a value `top_5` for the training images and `val_top_5` for the validation split if there is one. Both
can be `training.monitor`. The test split has `test_top_5`, and the best epoch is recorded as `best_val_top_5`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize"]

VALIDATION, TEST, BEST = "val_", "test_", "best_"  # prefixes of metrics; without one it is of the training images


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that says how good a network is. Its name in the table begins with none of the prefixes.

    Attributes:
        direction: `maximize` if larger values are better, `minimize` if smaller ones are.
        label: the label of its axis.
        in_epoch: `module:name` of a Keras metric class, or of a function of `name` that returns a Keras metric; it
            computes the value of each epoch. None for the loss, which Keras computes anyway.
        in_test: `module:name` of the function that computes it for the test split, from labels, (n,), and
            probabilities, float32, (n, classes); None for a metric that the test split does not have. For the
            loss it is the function of the default loss; other losses are computed by Keras.
        is_share: True for a share of the images. How far chance moves it follows from their number.
    """

    direction: Direction
    label: str
    in_epoch: str | None
    in_test: str | None
    is_share: bool = False


METRICS: dict[str, Metric] = {
    "loss": Metric(
        direction="minimize",
        label="loss",
        in_epoch=None,
        in_test="src.fitting.metrics:cross_entropy",
    ),
    "accuracy": Metric(
        direction="maximize",
        label="accuracy",
        in_epoch="src.fitting.metrics:Accuracy",
        in_test="src.fitting.metrics:accuracy",
        is_share=True,
    ),
}


def metric_names(prefix: str = "") -> list[str]:
    """Return the names of the metrics of one split: the training images, or the split with the prefix.

    A metric without a function for the test split is not among those of `TEST`.
    """
    return [prefix + name for name, metric in METRICS.items() if prefix != TEST or metric.in_test]


def monitors() -> tuple[str, ...]:
    """Return the metrics that can be `training.monitor`."""
    return (*metric_names(), *metric_names(VALIDATION))


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
