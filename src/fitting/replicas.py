"""Training on several devices: each has a copy of the network and trains it on its part of every batch.

The training is that of one device: gradients, losses and the statistics of batch normalization come from the whole
batch. Only dropout differs: all devices draw the same random numbers, each for its own images.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import tensorflow as tf
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from src.datasets import Dataset
from src.errors import ConfigError
from src.fitting.devices import find_devices
from src.schema import Config


def replicating(config: Config) -> AbstractContextManager[Any]:
    """Let a network that is built inside the block have a copy on each device of `training.devices`.

    Raises:
        ConfigError: there are too few devices, or the settings do not allow several.
    """
    devices = find_devices(config.training.num_devices)
    if len(devices) == 1:
        return nullcontext()
    config.check_devices(len(devices))
    return mirrored_strategy(tuple(devices)).scope()


@functools.cache
def mirrored_strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Return the strategy that keeps copies on these devices, always the same one.

    TensorFlow numbers the exchanges of a strategy from the start and remembers their shapes until the process ends. So
    another network under a second strategy would fail.
    """
    return tf.distribute.MirroredStrategy(devices)


def replicas_of(model: keras.Model) -> int:
    """Return on how many devices a network is trained."""
    count: int = model.distribute_strategy.num_replicas_in_sync
    return count


def scope_of(model: keras.Model) -> AbstractContextManager[Any]:
    """Let what is created inside the block be on the devices of a network too."""
    return model.distribute_strategy.scope() if replicas_of(model) > 1 else nullcontext()


def synchronize_normalization(model: keras.Model) -> None:
    """Let batch normalization use the mean and variance of the whole batch instead of a device's part."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
        elif isinstance(layer, keras.Model):
            synchronize_normalization(layer)


class DividedLoss(keras.losses.Loss):
    """The loss of a device's part of a batch.

    Keras averages the gradients of all devices, as if their parts had the same size. Here each counts by the number of
    its images. The value stays that of the part, because Keras weights it by the images itself.
    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name=loss.name)
        self.loss = loss

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        value = self.loss(y_true, y_pred, sample_weight)
        replica = tf.distribute.get_replica_context()
        if replica is None:
            return value
        images = tf.cast(tf.shape(y_true)[0], value.dtype)
        mean = replica.all_reduce(tf.distribute.ReduceOp.MEAN, images)
        weighted = value * images / mean
        return weighted + tf.stop_gradient(value - weighted)


class DividedBatches(DataAdapter, tf.distribute.DistributedDataset):
    """Batches in parts, one for each device, for `fit` or its validation. Keras uses a `DataAdapter` as it is.

    Keras asks for an iterator after the last batch of an epoch too. A new one would read ahead at once, and draw random
    numbers of the augmentation while those of the next epoch are set. So there is one iterator for each epoch.

    Args:
        batches: of images, labels and possibly weights.
        strategy: has the devices.
    """

    def __init__(self, batches: tf.data.Dataset, strategy: tf.distribute.Strategy) -> None:
        self.steps = int(batches.cardinality())
        parts = batches.flat_map(lambda *batch: _parts(batch, strategy.num_replicas_in_sync))
        self.parts = strategy.distribute_datasets_from_function(lambda _: parts)
        self._iterator: Iterator[Any] | None = None

    def get_tf_dataset(self) -> DividedBatches:
        """Return the data set that Keras iterates over."""
        return self

    def __iter__(self) -> Iterator[Any]:
        if self._iterator is None:
            self._iterator = iter(self.parts)
        return self._iterator

    @property
    def num_batches(self) -> int:
        """The number of batches."""
        return self.steps

    @property
    def element_spec(self) -> Any:
        """The types of a batch."""
        return self.parts.element_spec

    def on_epoch_begin(self) -> None:
        self._iterator = None

    def on_epoch_end(self) -> None:
        self._iterator = None


def _parts(batch: tuple[tf.Tensor, ...], count: int) -> tf.data.Dataset:
    """Return the parts of a batch, whose sizes differ by one image at most.

    If there are fewer images than devices, each device gets all of them: a part without images would crash oneDNN.
    """
    size = tf.shape(batch[0], tf.int64)[0]
    is_small = size < count

    def part(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        start = tf.where(is_small, tf.zeros_like(size), index * size // count)
        end = tf.where(is_small, size, (index + 1) * size // count)
        return tuple(tensor[start:end] for tensor in batch)

    return tf.data.Dataset.range(count).map(part)


def divided(batches: tf.data.Dataset, model: keras.Model) -> Any:
    """Return batches that the network can be trained on or scored with: on one device the batches themselves."""
    return DividedBatches(batches, model.distribute_strategy) if replicas_of(model) > 1 else batches


def check_splits(dataset: Dataset, batch_size: int, replicas: int) -> None:
    """Raise ConfigError if a split has too few images for the devices, or its only batch cannot be divided evenly.

    Keras takes the sizes of all parts from the first batch.
    """
    images = len(dataset.train)
    smallest = min(images, images if dataset.validation is None else len(dataset.validation))
    if smallest < replicas:
        raise ConfigError(
            f"training.devices={replicas}: a split has only {smallest} image{'s' * (smallest != 1)}, fewer than there "
            "are devices; use training.devices=1"
        )
    if images < batch_size and images % replicas:
        raise ConfigError(
            f"training.devices={replicas}: the {images} training images are a single batch, which cannot be divided "
            f"evenly among {replicas} devices; use training.batch_size={images - images % replicas}"
        )
