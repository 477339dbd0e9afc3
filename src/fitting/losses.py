"""Losses: from their configs to Keras."""

from typing import Any

import keras
import numpy as np

from src.errors import UserError
from src.foreign import explain_errors
from src.schema import LossConfig


def build_loss(config: LossConfig) -> keras.losses.Loss:
    """Return the Keras loss of `config`: a function of labels, (batch,), and probabilities, (batch, classes)."""
    loss: keras.losses.Loss = config.build(keras.losses.Loss, **config.settings())
    return loss


def cross_entropy(label_smoothing: float) -> keras.losses.Loss:
    """Return Keras' cross-entropy, which smooths only labels that are shares of all classes."""
    if not label_smoothing:
        return CrossEntropy()
    return OneHot(keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing))


def focal(gamma: float, alpha: float, label_smoothing: float) -> keras.losses.Loss:
    """Return Keras' focal loss, which takes only labels that are shares of all classes."""
    return OneHot(keras.losses.CategoricalFocalCrossentropy(alpha, gamma, label_smoothing=label_smoothing))


def has_shares(labels: Any) -> bool:
    """Return True if labels are shares of all classes, (batch, classes), and not numbers of classes, (batch,)."""
    return len(labels.shape) == 2


class CrossEntropy(keras.losses.SparseCategoricalCrossentropy):
    """Keras' cross-entropy, for labels of both forms."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, (batch,), from labels and probabilities, (batch, classes)."""
        if has_shares(y_true):
            return keras.losses.categorical_crossentropy(y_true, y_pred)
        return super().call(y_true, y_pred)


class OneHot(keras.losses.Loss):
    """A loss for labels of both forms, computed by one that takes only shares of all classes."""

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name=loss.name)
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, (batch,), from labels and probabilities, (batch, classes)."""
        if not has_shares(y_true):
            y_true = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), y_pred.shape[-1])
        return self.loss.call(y_true, y_pred)


def check_loss(loss: keras.losses.Loss, config: LossConfig, num_classes: int) -> None:
    """Try a user's loss.

    Raises:
        UserError: it fails, or does not give a number for each image, and their mean for a batch.
    """
    if not config.is_foreign:
        return
    what = f"loss {config.kind}: {config.builds}"
    labels, probabilities = np.zeros(2, np.float32), np.full((2, num_classes), 1 / num_classes, np.float32)
    with explain_errors(what):
        shapes = [np.shape(loss.call(labels, probabilities)), np.shape(loss(labels, probabilities))]
    if shapes != [(2,), ()]:
        raise UserError(
            f"{what} gave values of the shapes {shapes[0]} and {shapes[1]} for two images; expected (2,) from `call`, "
            "a number for each image, and () from the loss itself, their mean"
        )
