"""The order of the training images and the random numbers of their augmentation: both are set before each epoch.

They depend on the seed and the number of the epoch alone, not on the epochs that this process has trained. So a
training that is continued by another process sees the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# For functions without Python's control flow on tensors: TensorFlow takes a tenth of a second to read their source.
not_converted = tf.autograph.experimental.do_not_convert


class EpochOrder(keras.callbacks.Callback):
    """Sets the order and the random numbers of an epoch before Keras asks for its first batch.

    Args:
        count: the number of images.
        seed: the seed of the training.
        generators: those from which the augmentation draws its random numbers.
    """

    def __init__(self, count: int, seed: int, generators: Sequence[keras.random.SeedGenerator] = ()) -> None:
        super().__init__()
        self.count = count
        self.seed = seed
        self.generators = generators
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)

    def batches(self, size: int, take: Callable[[tf.Tensor], Any] = tf.identity) -> tf.data.Dataset:
        """Return batches in the order of the epoch in which they are asked for; the last one may be smaller.

        Args:
            size: of a batch.
            take: gets the numbers of all images in order, int64, (count,), and returns what is divided into batches.
        """

        def ordered(_: tf.Tensor) -> tf.data.Dataset:
            return tf.data.Dataset.from_tensor_slices(take(self._order())).batch(size)

        # A data set in a data set, so that the order is computed when an epoch begins.
        shuffled = tf.data.Dataset.range(1).flat_map(not_converted(ordered))
        return shuffled.apply(tf.data.experimental.assert_cardinality(math.ceil(self.count / size)))

    def _order(self) -> tf.Tensor:
        seed = tf.stack([tf.constant(self.seed, tf.int64), self.epoch])
        return tf.random.experimental.stateless_shuffle(tf.range(self.count, dtype=tf.int64), seed=seed)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch.assign(epoch)
        for index, generator in enumerate(self.generators):
            state = np.random.SeedSequence([self.seed, epoch, index]).generate_state(1)[0]
            generator.state.assign([int(state), 0])
