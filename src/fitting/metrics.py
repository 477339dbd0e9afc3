"""The computation of the metrics in `src.schema.metrics`: in each epoch by Keras, and for the test split by NumPy."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.datasets.arrays import Labels
from src.errors import UserError
from src.fitting.losses import build_loss
from src.foreign import explain_errors, is_foreign
from src.schema import METRICS, CrossEntropyConfig, LossConfig, direction_of, load_name, sign_of

Probabilities = npt.NDArray[np.float32]


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


def metrics_of(labels: Labels, probabilities: Probabilities, loss: LossConfig) -> dict[str, float]:
    """Return the metrics that probabilities give, by their names without a prefix.

    Args:
        labels: (n,).
        probabilities: float32, (n, classes).
        loss: the one that the network was trained with.
    """
    metrics = {}
    for name, reference in ((name, metric.in_test) for name, metric in METRICS.items() if metric.in_test):
        with _explain_errors(name, reference):
            is_own_loss = name == "loss" and loss.kind != CrossEntropyConfig.kind
            function = build_loss(loss) if is_own_loss else load_name(reference)
            metrics[name] = float(function(labels, probabilities))
    return metrics


def keras_mode(name: str) -> str:
    """Return `max` or `min`, which a Keras callback needs to know which values of the metric are better."""
    return "max" if sign_of(direction_of(name)) > 0 else "min"


class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of right predictions, computed from the inputs of the softmax: the largest stays the largest.

    Keras computes the loss from them too, so that training computes no softmax at all.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if tf.is_symbolic_tensor(y_pred) and y_pred.op.type == "Softmax":
            y_pred = y_pred.op.inputs[0]
        return super().update_state(y_true, y_pred, sample_weight)


def accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the fraction of correct predictions, 0-1."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def cross_entropy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean sparse categorical cross-entropy; like Keras, of probabilities that are never 0."""
    of_labels = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(of_labels, keras.config.epsilon(), 1.0)).mean())
