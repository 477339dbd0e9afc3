"""A metric that the project does not have: smaller values are better, and its name does not say so."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from src.schema import Metric


class Brier(keras.metrics.Mean):
    """The Brier score: the squared difference between the probabilities and the right answer, summed over classes."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        right = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), y_pred.shape[-1])
        return super().update_state(keras.ops.sum((y_pred - right) ** 2, axis=-1), sample_weight)


def brier(labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float32]) -> float:
    right = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - right) ** 2).sum(axis=1).mean())


BRIER = Metric(
    direction="minimize",
    label="Brier score",
    in_epoch="tests.support.metrics:Brier",
    in_test="tests.support.metrics:brier",
)
