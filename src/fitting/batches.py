"""The input pipeline: batches of uint8 images from arrays in memory, or from files that are too large for it."""

import math

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.datasets import Split
from src.fitting.augmentation import build_augmentation, check_augmentation
from src.fitting.mixing import build_mixing
from src.fitting.order import EpochOrder, not_converted
from src.process.machine import cores
from src.schema import AugmentationConfig

MAX_MAP_BYTES = 256 * 2**20  # of a scored batch in the largest layer, so that it fits into the memory
MAX_COPIED_BYTES = 64 * 2**20  # of images that TensorFlow copies; a copy of more takes seconds, and the memory
MAX_SCORED = 1_000  # images in a scored batch
PREFETCHED = 4  # batches that are ready while the model trains on one

Batch = tuple[tf.Tensor, tf.Tensor]


def training_batches(
    split: Split, batch_size: int, seed: int, augmentation: AugmentationConfig | None = None, num_classes: int = 0
) -> tuple[tf.data.Dataset, EpochOrder]:
    """Return batches in a new order each epoch, gathered by shuffled index, and the callback that sets the order.

    With an augmentation, each image is changed at random in each epoch. If it mixes images, labels are float32,
    (batch, num_classes).
    """
    augment = mixing = None
    if augmentation is not None and augmentation.changes_images:
        check_augmentation(augmentation, seed, np.asarray(split.images[:2]))
        augment = build_augmentation(augmentation, seed)
    if augmentation is not None:
        mixing = build_mixing(augmentation, num_classes, seed)
    generators = [generator for source in (augment, mixing) for generator in getattr(source, "generators", ())]
    order = EpochOrder(len(split), seed, generators)
    if _is_copied(split):
        images, labels = _copied(split)
        batches = order.batches(batch_size, lambda indices: (tf.gather(images, indices), tf.gather(labels, indices)))
    else:
        batches = _read(order.batches(batch_size), split)
    if augment is not None:
        # One batch after the other: parallel calls would draw their random numbers in no fixed order.
        batches = batches.map(lambda batch, classes: (tf.ensure_shape(augment(batch), batch.shape), classes))
    if mixing is not None:
        batches = batches.map(mixing)
    return _prefetched(batches), order


def scoring_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """Return batches in the order of the split."""
    if _is_copied(split):
        return _prefetched(_divided(_copied(split), batch_size))
    return _prefetched(_read(tf.data.Dataset.range(len(split)).batch(batch_size), split))


def image_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """Return the images of `scoring_batches`, without the labels."""
    return scoring_batches(split, batch_size).map(not_converted(lambda images, _: images))


def _is_copied(split: Split) -> bool:
    """Return whether TensorFlow gets a copy of the images: not of many, and not of images on disk."""
    return not isinstance(split.images, np.memmap) and split.images.nbytes <= MAX_COPIED_BYTES


def _copied(split: Split) -> Batch:
    return tf.constant(split.images), tf.constant(split.labels)


def _divided(whole: Batch, size: int) -> tf.data.Dataset:
    """Return batches of a split that TensorFlow has. `Dataset.batch` would copy one image after the other."""
    rest = len(whole[0]) % size
    end = len(whole[0]) - rest
    batches = tf.data.Dataset.from_tensor_slices(
        tuple(tf.reshape(part[:end], (-1, size, *part.shape[1:])) for part in whole)
    )
    return batches.concatenate(tf.data.Dataset.from_tensors(tuple(part[end:] for part in whole))) if rest else batches


def _read(indices: tf.data.Dataset, split: Split) -> tf.data.Dataset:
    """Return batches of images that are read, and their labels, for batches of indices."""
    source, labels = split.images, tf.constant(split.labels)

    def read(batch: tf.Tensor) -> Batch:
        images = tf.numpy_function(lambda rows: np.asarray(source[rows]), [batch], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, *source.shape[1:])), tf.gather(labels, batch)

    return indices.map(read, num_parallel_calls=cores())


def _prefetched(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return the batches with some of them prefetched, and without tf.data's tuner.

    The tuner takes a share of the cores and sometimes hangs: with it, one epoch in six began with two idle seconds.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(PREFETCHED).with_options(options)


def weighted(batches: tf.data.Dataset, weights: npt.NDArray[np.float64]) -> tf.data.Dataset:
    """Return the batches with a weight for each image, that of its class."""
    table = tf.constant(weights, tf.float32)
    return batches.map(lambda images, labels: (images, labels, tf.gather(table, tf.cast(labels, tf.int32))))


def scoring_batch(model: keras.Model) -> int:
    """Return how many images are scored at once: a thousand, or fewer if the network has very large maps."""
    largest = max(math.prod(layer.output.shape[1:]) for layer in model.layers) * 4
    return max(1, min(MAX_SCORED, MAX_MAP_BYTES // largest))
