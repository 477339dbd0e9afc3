"""Training a small network on several cores: each takes a part of the batch.

The operations of a small network are too short to be shared between threads: two make an epoch of LeNot only a tenth
shorter. With one thread for each operation, the parts of a batch go through the network side by side.
"""

import os
from typing import Any

import keras
import tensorflow as tf

from src.fitting.devices import precision, threads
from src.fitting.dividing import divides_batches
from src.schema import Config


def parts_for(config: Config) -> int:
    """How many parts a batch is trained in: one for each core where operations have one thread, else 1."""
    if os.environ.get("TF_NUM_INTRAOP_THREADS") != "1" or tf.config.list_physical_devices("GPU"):
        return 1
    return threads() if divides_batches(config) else 1


def in_parts(model: keras.Model, parts: int) -> keras.Model:
    """The same network with the same weights, which sends a batch through its body in parts; itself for one part.

    The last layer takes the batch as a whole again, so that loss and metrics come from the same operations as ever.
    """
    if parts == 1:
        return model
    with precision(model.dtype_policy.name):  # of which Keras wants to know when it scales a loss
        body, head = keras.Model(model.input, model.layers[-1].input), model.layers[-1]
        images = keras.Input(model.input.shape[1:], dtype=model.input.dtype)
        features = Whole()([body(part) for part in Parts(parts)(images)], images)
        return keras.Model(images, head(features), name=model.name)


class Parts(keras.layers.Layer):
    """Cuts a batch into so many parts, none of them empty: where images do not suffice, the last one comes again."""

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
    """Joins what came of the parts, without what came of an image that was there already."""

    def __init__(self) -> None:
        super().__init__(autocast=False)

    def call(self, parts: list[Any], batch: Any) -> Any:
        return tf.concat(parts, axis=0)[: tf.shape(batch)[0]]

    def compute_output_spec(self, parts: list[keras.KerasTensor], batch: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(parts[0].shape, parts[0].dtype)
