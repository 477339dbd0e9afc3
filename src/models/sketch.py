"""Building a network without values for its weights, so that the largest one takes no memory."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import keras
import tensorflow as tf

T = TypeVar("T")


def sketch_network(build: Callable[[tf.Graph], T]) -> T:
    """Return what a function builds from Keras layers in a graph, where neither weights nor outputs have values.

    It is called in its own thread, because Keras keeps its name counters and its list of variables without values by
    thread: they disappear with the thread. Random numbers are the same after it as before.

    Args:
        build: called with the graph; it must not compute with the network.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_sketch, build).result()


def _sketch(build: Callable[[tf.Graph], T]) -> T:
    state = random.getstate()  # initializers draw their seeds from it
    try:
        with tf.Graph().as_default() as graph, keras.StatelessScope(initialize_variables=False):
            return build(graph)
    finally:
        random.setstate(state)
