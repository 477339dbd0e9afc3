"""The memory that a model needs, computed from its configuration before anything is allocated."""

import json
import math
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import tensorflow as tf

from src.saving.own_layers import own_layers


def bytes_needed(config: str | bytes) -> int:
    """Return the bytes of a model's variables, and of the tensors that its layers compute while they are built.

    The model is built in a graph, where neither takes memory. It is built in its own thread, because Keras keeps
    its name counters and its list of variables without values by thread: they disappear with the thread.

    Args:
        config: the layers as JSON, as in the `.keras` and the `.h5` format.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_bytes_needed, json.loads(config)).result()


def _bytes_needed(config: dict[str, Any]) -> int:
    state = random.getstate()  # initializers draw their seeds from it, and later random numbers must not change
    try:
        with tf.Graph().as_default() as graph, keras.StatelessScope(initialize_variables=False), own_layers(config):
            model = _build(config)
    finally:
        random.setstate(state)
    variables = [(variable.shape, tf.as_dtype(variable.dtype)) for variable in model.variables]
    tensors = [(tensor.shape, tensor.dtype) for operation in graph.get_operations() for tensor in operation.outputs]
    return sum(math.prod(shape) * dtype.size for shape, dtype in variables + tensors if shape.is_fully_defined())


def _build(config: dict[str, Any]) -> keras.Model:
    if "module" in config:
        return keras.saving.deserialize_keras_object(config | {"compile_config": None}, safe_mode=True)
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model  # HDF5 names no modules
    return kind.from_config(config["config"])
