"""A kind of augmentation that the project does not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from src.schema import AugmentationConfig


@dataclass(kw_only=True)
class InvertConfig(AugmentationConfig, kind="invert", builds=f"{__name__}:invert"):
    share: float = 0.5  # of the images


def invert(config: InvertConfig, seed: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function that makes a share of the images negatives of themselves."""
    generator = tf.random.Generator.from_seed(seed)

    def augment(images: tf.Tensor) -> tf.Tensor:
        is_chosen = generator.uniform([tf.shape(images)[0], 1, 1, 1]) < config.share
        return tf.where(is_chosen, 255 - images, images)

    return augment
