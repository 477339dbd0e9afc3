"""The predictions for the validation split, kept while Keras scores it after an epoch, and the metrics of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.fitting.metrics import compute_metric
from src.schema import VALIDATION


class Predictions(keras.metrics.Metric):
    """Keeps the labels and probabilities of the validation split. For Keras it has no value.

    Most metrics are not a mean over batches, so they need the whole split. Keras updates its metrics in training too.
    Nothing is kept there, because `is_scoring` is False when TensorFlow traces the function that trains.

    Args:
        names: the metrics to compute, without a prefix.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(name="predictions")
        self.names = tuple(names)
        self.is_scoring = False
        self._kept = _Kept()

    def start(self) -> None:
        """Keep what is scored from now on."""
        self.is_scoring = True
        self._kept.batches.clear()

    def end(self) -> dict[str, float]:
        """Return the metrics of what was scored since `start`, by their names with a prefix, and forget it."""
        self.is_scoring = False
        if not self._kept.batches:
            return {}
        labels, probabilities = self._kept.joined()
        self._kept.batches.clear()
        return {VALIDATION + name: compute_metric(name, labels, probabilities) for name in self.names}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self.is_scoring:
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            tf.numpy_function(self._kept.add, [device, y_true, tf.cast(y_pred, tf.float32)], [])

    def result(self) -> dict[str, float]:
        return {}


class _Kept:
    """Batches of labels and probabilities, in the order in which each device scored them."""

    def __init__(self) -> None:
        self.batches: dict[int, list[tuple[npt.NDArray[Any], npt.NDArray[np.float32]]]] = defaultdict(list)

    def add(self, device: Any, labels: npt.NDArray[Any], probabilities: npt.NDArray[np.float32]) -> None:
        self.batches[int(device)].append((labels.reshape(-1).copy(), probabilities.copy()))  # TensorFlow's memory

    def joined(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Return all labels and probabilities; with several devices in another order than that of the split."""
        batches = [batch for device in sorted(self.batches) for batch in self.batches[device]]
        labels, probabilities = zip(*batches, strict=True)
        return np.concatenate(labels), np.concatenate(probabilities)


def predictions_of(model: keras.Model) -> Predictions | None:
    """Return the metric that keeps the predictions of a compiled model; None if none of its metrics needs them."""
    compiled = (metric for group in model.metrics for metric in getattr(group, "metrics", ()))
    return next((metric for metric in compiled if isinstance(metric, Predictions)), None)
