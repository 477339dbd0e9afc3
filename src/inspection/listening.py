"""What each layer of a network takes and returns while the network answers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras


class Heard(NamedTuple):
    """A call of a layer: its name, with those of the models around it (`backbone/conv_1`), and its tensors."""

    name: str
    layer: keras.layers.Layer
    inputs: Any
    outputs: Any


def leaf_layers(model: keras.Model, prefix: str = "") -> list[tuple[str, keras.layers.Layer]]:
    """Every layer that is no model itself, by its name and those of the models around it, in the models' order."""
    leaves: list[tuple[str, keras.layers.Layer]] = []
    for layer in model.layers:
        name = f"{prefix}{layer.name}"
        leaves += leaf_layers(layer, f"{name}/") if isinstance(layer, keras.Model) else [(name, layer)]
    return leaves


@contextmanager
def listening(model: keras.Model, hear: Callable[[Heard], None]) -> Iterator[None]:
    """Tells `hear` of every call of a layer, in the order of the calls, for as long as the block lasts.

    Keras has no hooks. To wire inner layers into a graph of their own would be the other way, but it gives each of them
    a second node, and `layer.output` is refused from then on.
    """
    with ExitStack() as restored:
        for name, layer in leaf_layers(model):
            restored.callback(delattr, layer, "call")
            layer.call = _told(name, layer, hear)
        yield


def _told(name: str, layer: keras.layers.Layer, hear: Callable[[Heard], None]) -> Callable[..., Any]:
    call = layer.call

    def told(inputs: Any, *arguments: Any, **settings: Any) -> Any:
        outputs = call(inputs, *arguments, **settings)
        hear(Heard(name, layer, inputs, outputs))
        return outputs

    return told
