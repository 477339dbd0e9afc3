"""The memory that a model needs, computed from its configuration before anything is allocated."""

import json
import math
from typing import Any

import keras
import tensorflow as tf

from src.models.sketch import sketch_network
from src.saving.own_layers import own_layers


def bytes_needed(config: str | bytes) -> int:
    """Return the bytes of a model's variables, and of the tensors that its layers compute while they are built.

    Args:
        config: the layers as JSON, as in the `.keras` and the `.h5` format.
    """
    layers = json.loads(config)
    return sketch_network(lambda graph: _bytes_needed(layers, graph))


def _bytes_needed(config: dict[str, Any], graph: tf.Graph) -> int:
    with own_layers(config):
        model = _build(config)
    variables = [(variable.shape, tf.as_dtype(variable.dtype)) for variable in model.variables]
    tensors = [(tensor.shape, tensor.dtype) for operation in graph.get_operations() for tensor in operation.outputs]
    return sum(math.prod(shape) * dtype.size for shape, dtype in variables + tensors if shape.is_fully_defined())


def _build(config: dict[str, Any]) -> keras.Model:
    if "module" in config:
        return keras.saving.deserialize_keras_object(config | {"compile_config": None}, safe_mode=True)
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model  # HDF5 names no modules
    return kind.from_config(config["config"])
