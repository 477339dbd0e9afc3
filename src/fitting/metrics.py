"""The computation of the metrics in `src.schema.metrics`: by Keras while it trains, and from probabilities by NumPy."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from src.datasets.arrays import Labels
from src.errors import UserError
from src.fitting.formulas import MetricFunction, Probabilities
from src.fitting.losses import build_loss, has_shares
from src.foreign import explain_errors, is_foreign
from src.schema import LOSS, METRICS, CrossEntropyConfig, LossConfig, direction_of, load_name, metric_names, sign_of


def metrics_in_epoch() -> list[keras.metrics.Metric]:
    """Return new Keras metrics for a model to compile, without the loss."""
    return [_metric_in_epoch(name, metric.in_epoch) for name, metric in METRICS.items() if metric.in_epoch]


def _metric_in_epoch(name: str, reference: str) -> keras.metrics.Metric:
    with _explain_errors(name, reference):
        metric = load_name(reference)(name=name)
    if not isinstance(metric, keras.metrics.Metric) or metric.name != name:
        raise UserError(
            f"metric {name}: {reference} returned {metric!r}, expected a Keras metric with the name {name!r}"
        )
    return metric


def _explain_errors(name: str, reference: str) -> AbstractContextManager[None]:
    """Turn errors of a user's code into sentences."""
    return explain_errors(f"metric {name}: {reference}") if is_foreign(reference) else nullcontext()


def metrics_of_predictions(names: Iterable[str]) -> list[str]:
    """Return those of the metrics that are computed from the predictions for the validation split, not by Keras."""
    return [name for name in names if name not in metric_names() and METRICS[name].in_test]


def check_metrics(names: Iterable[str], num_classes: int) -> None:
    """Try the functions of a user's metrics on an image of each class.

    Raises:
        UserError: one of them fails, or does not return a number.
    """
    labels = np.arange(num_classes, dtype=np.uint16)
    probabilities = ((np.eye(num_classes) + 1 / num_classes) / 2).astype(np.float32)
    for name in names:
        if is_foreign(METRICS[name].in_test or ""):
            compute_metric(name, labels, probabilities)


def compute_metric(name: str, labels: Labels, probabilities: Probabilities) -> float:
    """Return the value of a metric that has a function, from labels, (n,), and probabilities, (n, classes)."""
    reference = METRICS[name].in_test
    assert reference is not None
    with _explain_errors(name, reference):
        return float(load_name(reference)(labels, probabilities))


def metrics_of(
    labels: Labels, probabilities: Probabilities, loss: LossConfig, names: Collection[str] | None = None
) -> dict[str, float]:
    """Return the metrics that probabilities give, by their names without a prefix, in the order of the table.

    Args:
        labels: (n,).
        probabilities: float32, (n, classes).
        loss: the one that the network was trained with.
        names: the metrics; None for all that say something about this number of classes.
    """
    wanted = [
        name
        for name, metric in METRICS.items()
        if metric.in_test and metric.min_classes <= probabilities.shape[1] and (names is None or name in names)
    ]
    functions = metric_functions(loss)
    return {name: functions[name](labels, probabilities) for name in wanted}


def metric_functions(loss: LossConfig) -> dict[str, MetricFunction]:
    """Return the function of each metric that probabilities give, by their names without a prefix.

    Args:
        loss: the one that the network was trained with.
    """
    functions: dict[str, MetricFunction] = {
        name: functools.partial(compute_metric, name) for name, metric in METRICS.items() if metric.in_test
    }
    if loss != CrossEntropyConfig():
        own_loss = build_loss(loss)
        functions[LOSS] = lambda labels, probabilities: float(own_loss(labels, probabilities))
    return functions


def keras_mode(name: str) -> str:
    """Return `max` or `min`, which a Keras callback needs to know which values of the metric are better."""
    return "max" if sign_of(direction_of(name)) > 0 else "min"


class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of right predictions, computed from the inputs of the softmax: the largest stays the largest.

    Keras computes the loss from them too, so that training computes no softmax at all. The right answer for a mixed
    image is the class with the larger share.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if tf.is_symbolic_tensor(y_pred) and y_pred.op.type == "Softmax":
            y_pred = y_pred.op.inputs[0]
        if has_shares(y_true):
            y_true = keras.ops.argmax(y_true, axis=-1)
        return super().update_state(y_true, y_pred, sample_weight)
