"""A Keras model as a graph that converters read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

INPUT, OUTPUT = "pixels", "probabilities"  # the names in every exported file
CALLS = ("PartitionedCall", "StatefulPartitionedCall")  # of functions that are not part of a frozen graph
MIXED = re.compile(r'"mixed_b?float16"')


def frozen(model: keras.Model) -> Any:
    """Return the model as a concrete function from pixels to probabilities, with its weights as constants.

    Its input is uint8, (batch, height, width, channels), with any batch size. It computes in float32 throughout.
    """
    plain = in_float32(model)
    function = _trace(plain, nullcontext())
    return _trace(plain, inlined()) if nodes_of(function, CALLS) else function


@contextmanager
def inlined() -> Iterator[None]:
    """Put the operations of inner functions into the graph itself while it is traced.

    Keras computes a grouped convolution in a function that XLA compiles, and a converter finds only the call of it.
    Autograph does not run in inner functions then.
    """
    was = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)  # within a graph, this calls their Python code, which adds to the graph
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(was)


def _trace(model: keras.Model, while_tracing: AbstractContextManager[None]) -> Any:
    def probabilities(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        with while_tracing:
            return {OUTPUT: model(pixels, training=False)}

    signature = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name=INPUT)
    function = tf.function(probabilities, autograph=False).get_concrete_function(signature)
    return convert_variables_to_constants_v2(function)


def in_float32(model: keras.Model) -> keras.Model:
    """Return the model, or a copy that computes in float32 if it was trained with mixed precision.

    Its weights are float32 in either case.
    """
    config = json.dumps(keras.saving.serialize_keras_object(model))
    if not MIXED.search(config):
        return model
    classes = {type(layer).__name__: type(layer) for layer in model.layers if _is_own(layer)}
    with keras.saving.custom_object_scope(classes):
        plain = keras.saving.deserialize_keras_object(json.loads(MIXED.sub('"float32"', config)))
    plain.set_weights(model.get_weights())
    return plain


def layer_of(model: keras.Model, node: str) -> str | None:
    """Return the layer that a node of the graph belongs to, such as `conv_0` for `lenot_1/conv_0_1/convolution`."""
    names = {layer.name for layer in model.layers}
    for part in node.split("/"):
        for name in (part, re.sub(r"_\d+$", "", part)):
            if name in names:
                return name
    return None


def nodes_of(function: Any, operations: Iterable[str]) -> list[str]:
    """Return the names of the nodes of a concrete function that are one of these operations."""
    wanted = set(operations)
    return [node.name for node in function.graph.as_graph_def().node if node.op in wanted]


def _is_own(layer: keras.layers.Layer) -> bool:
    return not type(layer).__module__.startswith("keras.")
