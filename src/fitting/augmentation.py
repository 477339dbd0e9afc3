"""Training images changed at random: shifted, turned, zoomed, mirrored, with another contrast."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from src.schema import AugmentationConfig

WHITE = 255
Images = npt.NDArray[np.uint8]


def augmenter(config: AugmentationConfig, seed: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function that changes every image of a batch in another way, and the same image in another way the next time.

    Args:
        config: what may happen to an image, and how far.
        seed: the first call after it was made gives the same images for the same seed, and so do the next ones.

    Returns:
        From uint8, (batch, height, width, channels), 0-255, to the same.
    """
    steps = _layers(config, seed)

    def augment(images: tf.Tensor) -> tf.Tensor:
        changed = tf.cast(images, tf.float32)
        for step in steps:
            changed = step(changed, training=True)
        return tf.cast(tf.clip_by_value(tf.round(changed), 0, WHITE), tf.uint8)

    return augment


def _layers(config: AugmentationConfig, seed: int) -> list[keras.layers.Layer]:
    """Keras' layers for what the config asks for; nothing is asked for by 0 or null."""
    edges: dict[str, Any] = {"fill_mode": config.fill, "fill_value": 0.0, "dtype": "float32"}
    seeds = iter(range(seed, seed + 5))
    steps = []
    if config.flip:
        steps.append(layers.RandomFlip(config.flip, seed=next(seeds), dtype="float32"))
    if config.rotation:
        steps.append(layers.RandomRotation(config.rotation / 360, seed=next(seeds), **edges))
    if config.zoom:  # without a factor for the width it has the height's, and shapes stay as they are
        steps.append(layers.RandomZoom((-config.zoom, config.zoom), seed=next(seeds), **edges))
    if config.shift:
        steps.append(layers.RandomTranslation(config.shift, config.shift, seed=next(seeds), **edges))
    if config.contrast:  # Keras takes one number for how much more, and then never gives less
        both_ways = (config.contrast, config.contrast)
        steps.append(layers.RandomContrast(both_ways, value_range=(0, WHITE), seed=next(seeds), dtype="float32"))
    return steps


def augmented(images: Images, config: AugmentationConfig, seed: int, versions: int) -> Images:
    """Some images as training may see them: uint8, (images, versions, height, width, channels)."""
    augment = augmenter(config, seed)
    return np.stack([np.asarray(augment(images)) for _ in range(versions)], axis=1)
