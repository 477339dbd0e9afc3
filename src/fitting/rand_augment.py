"""RandAugment: each image goes through a few operations, which are drawn for this image.

Reference:
    Cubuk et al. 2020, "RandAugment" (the 14 operations of section 3); Cubuk et al. 2019, "AutoAugment" (table 6 of the
    appendix: the largest change of each operation).

Departures:
    The strength of a change is drawn, up to that of the setting, as in `RandomRotation` and the other layers of Keras.
    Brightness is added, up to half of the range, and not multiplied. Color is only taken away.

Keras' own `RandAugment` draws one operation for a whole batch and computes all of them. See docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import layers
from keras.random import SeedGenerator

WHITE = 255
COLORS = 3  # channels of an image that has colors
# The largest change of each kind: degrees, shares of a side, shares of the value, bits of a pixel.
ROTATION, SHEAR, SHIFT, ENHANCEMENT, BITS = 30, 0.3, 0.45, 0.9, 4
BRIGHTNESS = 0.5  # of the range of pixels: adding 0.9 of it would leave nothing of the image

Operation = Callable[[tf.Tensor], tf.Tensor]


class RandAugment:
    """Changes each image of a batch by operations that are drawn for it.

    Args:
        strength: the share of the largest change of each operation, more than 0 and at most 1.
        num_ops: operations for each image, one after the other.
        edges: how Keras fills the empty edges of an image that was moved.
        seed: the first of the seeds of its random numbers.

    Attributes:
        layers: Keras layers that are operations for images with any number of channels.
        generators: those from which it draws its random numbers, see `src.fitting.order`.
    """

    def __init__(self, strength: float, num_ops: int, edges: dict[str, Any], seed: int) -> None:
        self.num_ops = num_ops
        seeds = iter(range(seed, seed + 20))
        self._choice, self._threshold = SeedGenerator(next(seeds)), SeedGenerator(next(seeds))
        self._strength = strength
        shear, shift, spread = SHEAR * strength, SHIFT * strength, ENHANCEMENT * strength
        pixels: dict[str, Any] = {"value_range": (0, WHITE), "dtype": "float32"}
        self._equalization = layers.Equalization(**pixels)
        self._color = layers.RandomColorDegeneration((0.0, spread), seed=next(seeds), **pixels)
        self.layers = [
            layers.RandomRotation(ROTATION / 360 * strength, seed=next(seeds), **edges),
            layers.RandomShear((0.0, shear), 0.0, seed=next(seeds), **edges),
            layers.RandomShear(0.0, (0.0, shear), seed=next(seeds), **edges),
            layers.RandomTranslation(shift, 0.0, seed=next(seeds), **edges),
            layers.RandomTranslation(0.0, shift, seed=next(seeds), **edges),
            layers.RandomBrightness(BRIGHTNESS * strength, seed=next(seeds), **pixels),
            layers.RandomContrast((spread, spread), seed=next(seeds), **pixels),
            layers.RandomSharpness((0.5 - spread / 2, 0.5 + spread / 2), seed=next(seeds), **pixels),
            layers.RandomPosterization((8 - round(BITS * strength), 8), seed=next(seeds), **pixels),
            layers.AutoContrast(**pixels),
        ]
        self.generators = [self._choice, self._threshold, *generators_of([self._color, *self.layers])]

    def __call__(self, images: tf.Tensor, training: bool = True) -> tf.Tensor:
        """Return the images after the operations; both are float32, (batch, height, width, channels), 0-255."""
        operations = self._operations(images.shape[-1])
        count = tf.shape(images)[0]
        for _ in range(self.num_ops):
            choices = keras.random.randint((count,), 0, len(operations), seed=self._choice)
            groups = tf.dynamic_partition(tf.range(count), choices, len(operations))
            changed = [_apply(operation, images, rows) for operation, rows in zip(operations, groups, strict=True)]
            images = tf.dynamic_stitch(groups, changed)
        return images

    def _operations(self, channels: int) -> list[Operation]:
        """Return the operations for images with this many channels. Gray ones have no color to take away."""
        colors = [self._color] if channels == COLORS else []
        random_layers = [_training(layer) for layer in (*self.layers, *colors)]
        return [lambda images: images, self._equalize, self._solarize, *random_layers]

    def _equalize(self, images: tf.Tensor) -> tf.Tensor:
        """Equalize each image by its own histogram. Keras' layer makes one histogram of all images that it gets."""
        return tf.map_fn(_training(self._equalization), images)

    def _solarize(self, images: tf.Tensor) -> tf.Tensor:
        """Invert the pixels above a threshold. The lowest threshold of Keras' layer is always 0."""
        shares = keras.random.uniform((tf.shape(images)[0], 1, 1, 1), seed=self._threshold)
        return tf.where(images <= WHITE * (1 - self._strength * shares), images, WHITE - images)


def generators_of(random_layers: Iterable[Any]) -> list[SeedGenerator]:
    """Return the generators from which layers draw their random numbers."""
    generators = []
    for layer in random_layers:
        values = getattr(layer, "generators", None) or vars(layer).values()
        generators += [value for value in values if isinstance(value, SeedGenerator)]
    return generators


def _training(layer: keras.layers.Layer) -> Operation:
    return lambda images: layer(images, training=True)


def _apply(operation: Operation, images: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return the images of these rows, changed. The operation gets one more image, because some fail without any."""
    return operation(tf.gather(images, tf.concat([rows, [0]], axis=0)))[:-1]
