"""Random changes of training images: shift, rotation, zoom, mirroring, contrast, RandAugment, erasing, mixing."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from src.errors import UserError
from src.fitting.mixing import build_mixing
from src.fitting.rand_augment import RandAugment, generators_of
from src.foreign import explain_errors
from src.schema import AugmentationConfig, StandardAugmentationConfig

WHITE = 255
FIRST_OF_RAND_AUGMENT = 7  # the first of its seeds, after those of the other layers
Images = npt.NDArray[np.uint8]
Augment = Callable[[tf.Tensor], tf.Tensor]


def build_augmentation(config: AugmentationConfig, seed: int) -> Augment:
    """Return a function that changes each image of a batch at random, differently at each call.

    Args:
        config: its kind builds the function. If the function has an attribute `generators`, these Keras SeedGenerators
            are set at the start of each epoch, so that a resumed training sees the same images. Without random numbers
            of Keras the attribute is an empty list.
        seed: functions with the same seed return the same images, call by call.

    Returns:
        From uint8, (batch, height, width, channels), 0-255, to the same.
    """
    augment: Augment = config.build(Callable, config, seed)
    return augment


def has_generators(config: AugmentationConfig, seed: int) -> bool:
    """Return True if the function of an augmentation has the generators that make a resumed training exact."""
    return not (config.is_foreign and config.changes_images) or hasattr(build_augmentation(config, seed), "generators")


def check_augmentation(config: AugmentationConfig, seed: int, images: Images) -> None:
    """Try a user's augmentation on a few images.

    Raises:
        UserError: it fails, or returns something else than images like those that it got.
    """
    if not config.is_foreign:
        return
    what = f"augmentation {config.kind}: the function that {config.builds} returns"
    augment = build_augmentation(config, seed)
    with explain_errors(what):
        changed = np.asarray(augment(tf.constant(images)))
    if (changed.dtype, changed.shape) != (images.dtype, images.shape):
        raise UserError(
            f"{what} gave {changed.dtype} {changed.shape} for uint8 {images.shape}; expected the same, pixels of 0-255"
        )


def standard_augmentation(config: StandardAugmentationConfig, seed: int) -> Augment:
    """Return the function that makes the changes that the settings ask for, such as shifts and rotations."""
    return LayeredAugmentation(_layers(config, seed))


class LayeredAugmentation:
    """Changes images with Keras layers, one after the other.

    Attributes:
        layers: the layers; `RandAugment` is called like one.
        generators: those from which the layers draw their random numbers, see `src.fitting.order`.
    """

    def __init__(self, random_layers: Sequence[keras.layers.Layer | RandAugment]) -> None:
        self.layers = random_layers
        self.generators = generators_of(self.layers)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        changed = tf.cast(images, tf.float32)
        for layer in self.layers:
            changed = layer(changed, training=True)
        return tf.cast(tf.clip_by_value(tf.round(changed), 0, WHITE), tf.uint8)


def _layers(config: StandardAugmentationConfig, seed: int) -> list[keras.layers.Layer | RandAugment]:
    """Return a layer for each change whose range is not 0 or null."""
    edges: dict[str, Any] = {"fill_mode": config.fill, "fill_value": 0.0, "dtype": "float32"}
    seeds = iter(range(seed, seed + FIRST_OF_RAND_AUGMENT))
    steps: list[keras.layers.Layer | RandAugment] = []
    if config.flip:
        steps.append(layers.RandomFlip(config.flip, seed=next(seeds), dtype="float32"))
    if config.rotation:
        steps.append(layers.RandomRotation(config.rotation / 360, seed=next(seeds), **edges))
    if config.zoom:  # with one factor for height and width, so that shapes are not distorted
        steps.append(layers.RandomZoom((-config.zoom, config.zoom), seed=next(seeds), **edges))
    if config.shift:
        steps.append(layers.RandomTranslation(config.shift, config.shift, seed=next(seeds), **edges))
    if config.contrast:  # with a single number Keras only raises the contrast
        factors = (config.contrast, config.contrast)
        steps.append(layers.RandomContrast(factors, value_range=(0, WHITE), seed=next(seeds), dtype="float32"))
    if config.rand_augment:
        steps.append(RandAugment(config.rand_augment, config.rand_augment_ops, edges, seed + FIRST_OF_RAND_AUGMENT))
    if config.erasing:  # a range of one value: Keras takes a single number as the end of a range that begins at 0
        probability = (config.erasing, config.erasing)
        steps.append(layers.RandomErasing(probability, value_range=(0, WHITE), seed=next(seeds), dtype="float32"))
    return steps


def augmented(images: Images, config: AugmentationConfig, seed: int, versions: int) -> Images:
    """Return augmented versions of each image: uint8, (images, versions, height, width, channels)."""
    augment, mixing = build_augmentation(config, seed), build_mixing(config, 1, seed)

    def version() -> Images:
        changed = augment(images)
        if mixing is not None:
            changed, _ = mixing(changed, tf.zeros(len(images), tf.int32))
        return np.asarray(changed)

    return np.stack([version() for _ in range(versions)], axis=1)
