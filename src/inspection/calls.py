"""The calls of a network's layers, observed while the network computes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras


class LayerCall(NamedTuple):
    """A call of a layer.

    Attributes:
        name: of the layer, with the names of the models around it: `backbone/conv_1`.
        layer: the layer.
        inputs, outputs: its tensors.
    """

    name: str
    layer: keras.layers.Layer
    inputs: Any
    outputs: Any


def leaf_layers(model: keras.Model, prefix: str = "") -> list[tuple[str, keras.layers.Layer]]:
    """Return every layer that is not itself a model, with its name as in `LayerCall`, in the models' order."""
    leaves: list[tuple[str, keras.layers.Layer]] = []
    for layer in model.layers:
        name = f"{prefix}{layer.name}"
        leaves += leaf_layers(layer, f"{name}/") if isinstance(layer, keras.Model) else [(name, layer)]
    return leaves


@contextmanager
def observed_calls(model: keras.Model, on_call: Callable[[LayerCall], Any]) -> Iterator[None]:
    """Call `on_call` after every call of a layer inside the block, in the order of the calls.

    If it returns a tensor, the network computes with this one instead of the layer's outputs.

    Keras has no hooks. Connecting inner layers to a graph of their own would be another way, but it gives each of them
    a second node, and Keras refuses `layer.output` from then on.
    """
    with ExitStack() as restored:
        for name, layer in leaf_layers(model):
            restored.callback(delattr, layer, "call")
            layer.call = _observed(name, layer, on_call)
        yield


def _observed(name: str, layer: keras.layers.Layer, on_call: Callable[[LayerCall], Any]) -> Callable[..., Any]:
    call = layer.call

    def call_and_report(inputs: Any, *arguments: Any, **settings: Any) -> Any:
        outputs = call(inputs, *arguments, **settings)
        instead = on_call(LayerCall(name, layer, inputs, outputs))
        return outputs if instead is None else instead

    return call_and_report
