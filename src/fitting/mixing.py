"""Mixing of training images: each gets a part of another image of its batch, and a share of its label."""

import keras
import tensorflow as tf
from keras import layers

from src.schema import AugmentationConfig, StandardAugmentationConfig


class Mixing:
    """Mixes batches with a Keras layer.

    Attributes:
        layer: `MixUp` or `CutMix`.
        generators: those from which the layer draws its random numbers, see `src.fitting.order`.
    """

    def __init__(self, layer: keras.layers.Layer, num_classes: int) -> None:
        self.layer = layer
        self.num_classes = num_classes
        self.generators = [layer.generator]

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mixed images, uint8, (batch, height, width, channels), and float32 labels, (batch, classes).

        Args:
            images: uint8, (batch, height, width, channels).
            labels: integers, (batch,).
        """
        batch = {
            "images": tf.cast(images, tf.float32),
            "labels": tf.one_hot(tf.cast(labels, tf.int32), self.num_classes),
        }
        mixed = self.layer(batch, training=True)
        return tf.cast(tf.round(mixed["images"]), tf.uint8), mixed["labels"]


def build_mixing(config: AugmentationConfig, num_classes: int, seed: int) -> Mixing | None:
    """Return what mixes the images of a batch, None if the settings mix nothing."""
    if not isinstance(config, StandardAugmentationConfig) or config.mixed_by is None:
        return None
    if config.mixup:
        return Mixing(layers.MixUp(config.mixup, seed=seed, dtype="float32"), num_classes)
    # A range of one value, because Keras takes a single number as the end of a range that begins at 0.
    return Mixing(layers.CutMix((config.cutmix, config.cutmix), seed=seed, dtype="float32"), num_classes)
