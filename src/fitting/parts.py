"""Training a small network on several cores, each of which computes a part of the batch.

The operations of a small network are too short to be shared between threads: a second thread makes an epoch of LeNot
only a tenth shorter. With one thread for each operation, the parts of a batch go through the network at the same time.
"""

import os
from typing import Any

import keras
import tensorflow as tf

from src.fitting.devices import precision, threads, used_devices
from src.fitting.dividing import divides_batches
from src.schema import Config

ONE_THREAD = "TF_NUM_INTRAOP_THREADS"  # the variable with the number of threads of an operation


def parts_for(config: Config) -> int:
    """Return how many parts a batch is trained in: one for each core if operations have one thread, else 1."""
    if os.environ.get(ONE_THREAD) != "1" or tf.config.list_physical_devices("GPU"):
        return 1
    return threads() if divides_batches(config) else 1


def describe_device(config: Config) -> str:
    """Return what the training runs on, and why batches are not divided among the cores although they could be."""
    if tf.config.list_physical_devices("GPU"):
        return ", ".join(device.model for device in used_devices(config.training.num_devices))
    count, parts = threads(), parts_for(config)
    text = f"CPU, {count} thread{'s' * (count != 1)}"
    if parts > 1:
        return f"{text}, each batch in {parts} parts"
    if count == 1 or not divides_batches(config):
        return text
    setting = os.environ.get(ONE_THREAD)
    reason = f"{ONE_THREAD}={setting}" if setting else "TensorFlow was imported before the training"
    return f"{text}; batches are not divided among them ({reason})"


def in_parts(model: keras.Model, parts: int) -> keras.Model:
    """Return a network with the same weights that computes a batch in parts; the model itself for one part.

    The last layer takes the whole batch, so that loss and metrics come from the same operations as without parts.
    """
    if parts == 1:
        return model
    with precision(model.dtype_policy.name):  # it decides whether Keras scales the loss
        body, head = keras.Model(model.input, model.layers[-1].input), model.layers[-1]
        images = keras.Input(model.input.shape[1:], dtype=model.input.dtype)
        features = Whole()([body(part) for part in Parts(parts)(images)], images)
        return keras.Model(images, head(features), name=model.name)


class Parts(keras.layers.Layer):
    """Divides a batch into parts, none of them empty: if there are too few images, the last one is repeated."""

    def __init__(self, parts: int) -> None:
        super().__init__(autocast=False)
        self.parts = parts

    def call(self, batch: Any) -> list[Any]:
        size = tf.shape(batch)[0]
        step = (size + self.parts - 1) // self.parts
        return [batch[tf.minimum(part * step, size - 1) : (part + 1) * step] for part in range(self.parts)]

    def compute_output_spec(self, batch: Any) -> list[keras.KerasTensor]:
        return [keras.KerasTensor(batch.shape, batch.dtype) for _ in range(self.parts)]


class Whole(keras.layers.Layer):
    """Joins the results of the parts, without those of repeated images."""

    def __init__(self) -> None:
        super().__init__(autocast=False)

    def call(self, parts: list[Any], batch: Any) -> Any:
        return tf.concat(parts, axis=0)[: tf.shape(batch)[0]]

    def compute_output_spec(self, parts: list[keras.KerasTensor], batch: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(parts[0].shape, parts[0].dtype)
