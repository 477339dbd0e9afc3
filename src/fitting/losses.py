"""Losses: from their configs to Keras."""

import keras

from src.schema import LossConfig


def build_loss(config: LossConfig) -> keras.losses.Loss:
    """Return the Keras loss of `config`: a function of labels, (batch,), and probabilities, (batch, classes)."""
    loss: keras.losses.Loss = config.builder()(**config.settings())
    return loss
