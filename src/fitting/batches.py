"""The input pipeline: batches gathered from arrays that stay in memory as uint8."""

import math

import keras
import tensorflow as tf

from src.datasets import Split
from src.fitting.augmentation import augmenter
from src.schema import AugmentationConfig

LARGEST_MAP = 256 * 2**20  # bytes that a batch may take in the largest layer when nothing is trained
MOST_SCORED = 1_000


def training_batches(
    split: Split, batch_size: int, seed: int, augmentation: AugmentationConfig | None = None
) -> tf.data.Dataset:
    """Batches in a new order each epoch, gathered by shuffled index from arrays that stay in memory as uint8.

    Where there is an augmentation, each image is changed at random every time that it comes.
    """
    images, labels = tf.constant(split.images), tf.constant(split.labels)
    indices = tf.data.Dataset.range(len(split)).shuffle(len(split), seed=seed).batch(batch_size)
    batches = indices.map(lambda at: (tf.gather(images, at), tf.gather(labels, at)), tf.data.AUTOTUNE)
    if augmentation is not None and augmentation.changes_images:
        augment = augmenter(augmentation, seed)
        # One batch after the other: several at once would draw their random numbers in no certain order.
        batches = batches.map(lambda batch, classes: (augment(batch), classes))
    return batches.prefetch(tf.data.AUTOTUNE)


def scoring_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """Batches in the split's own order."""
    images, labels = tf.constant(split.images), tf.constant(split.labels)
    starts = tf.data.Dataset.range(0, len(split), batch_size)
    return starts.map(lambda at: (images[at : at + batch_size], labels[at : at + batch_size])).prefetch(
        tf.data.AUTOTUNE
    )


def scoring_batch(model: keras.Model) -> int:
    """How many images are scored at once: a thousand, fewer where the network's largest map would fill the memory."""
    largest = max(math.prod(layer.output.shape[1:]) for layer in model.layers) * 4
    return max(1, min(MOST_SCORED, LARGEST_MAP // largest))
