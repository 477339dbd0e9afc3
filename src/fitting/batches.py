"""The input pipeline: batches gathered as uint8 from arrays in memory, or from files too large for it."""

import math

import keras
import numpy as np
import tensorflow as tf

from src.datasets import Split
from src.fitting.augmentation import augmenter
from src.process.machine import cores
from src.schema import AugmentationConfig

LARGEST_MAP = 256 * 2**20  # bytes that a batch may take in the largest layer when nothing is trained
MOST_SCORED = 1_000
AHEAD = 4  # batches that are ready while one is trained on

Batch = tuple[tf.Tensor, tf.Tensor]


def training_batches(
    split: Split, batch_size: int, seed: int, augmentation: AugmentationConfig | None = None
) -> tf.data.Dataset:
    """Batches in a new order each epoch, gathered by shuffled index.

    Where there is an augmentation, each image is changed at random every time that it comes.
    """
    batches = _gathered(tf.data.Dataset.range(len(split)).shuffle(len(split), seed=seed).batch(batch_size), split)
    if augmentation is not None and augmentation.changes_images:
        augment = augmenter(augmentation, seed)
        # One batch after the other: several at once would draw their random numbers in no certain order.
        batches = batches.map(lambda batch, classes: (augment(batch), classes))
    return _ahead(batches)


def scoring_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """Batches in the split's own order."""
    starts = tf.data.Dataset.range(0, len(split), batch_size)
    return _ahead(
        _gathered(starts.map(lambda start: tf.range(start, tf.minimum(start + batch_size, len(split)))), split)
    )


def _gathered(places: tf.data.Dataset, split: Split) -> tf.data.Dataset:
    """From batches of places to batches of images and labels; images on disk are read when they are asked for."""
    labels = tf.constant(split.labels)
    if isinstance(split.images, np.memmap):
        mapped, shape = split.images, split.images.shape[1:]

        def read(at: tf.Tensor) -> Batch:
            images = tf.numpy_function(lambda places: np.asarray(mapped[places]), [at], tf.uint8, stateful=False)
            return tf.ensure_shape(images, (None, *shape)), tf.gather(labels, at)

        return places.map(read, num_parallel_calls=cores())
    images = tf.constant(split.images)
    return places.map(lambda at: (tf.gather(images, at), tf.gather(labels, at)))


def _ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Some batches ahead, with nothing tuned: tf.data's tuner takes a share of the cores, and hangs now and then.

    With it, one epoch in six began with two seconds in which nothing happened.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)


def scoring_batch(model: keras.Model) -> int:
    """How many images are scored at once: a thousand, fewer where the network's largest map would fill the memory."""
    largest = max(math.prod(layer.output.shape[1:]) for layer in model.layers) * 4
    return max(1, min(MOST_SCORED, LARGEST_MAP // largest))
