"""The layers of a network that can be looked into: those that return maps."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from src.cli.mistakes import did_you_mean
from src.errors import ConfigError
from src.inspection.calls import LayerCall, observed_calls
from src.models.arithmetic import CONVOLUTIONS


class MapLayer(NamedTuple):
    """A layer that returns maps: its name as in `LayerCall`, height, width and number of the maps, and its kind."""

    name: str
    shape: tuple[int, int, int]
    is_convolution: bool


def map_layers(model: keras.Model) -> list[MapLayer]:
    """Return the layers that return maps, in the order in which an image passes through them."""
    found: dict[str, MapLayer] = {}

    def note(call: LayerCall) -> None:
        if len(shape := tuple(getattr(call.outputs, "shape", ()))) == 4:
            found[call.name] = MapLayer(call.name, shape[1:], isinstance(call.layer, CONVOLUTIONS))

    with observed_calls(model, note):
        model(np.zeros((1, *model.input_shape[1:]), np.uint8), training=False)
    return list(found.values())


def find_layers(model: keras.Model, names: Sequence[str]) -> list[MapLayer]:
    """Return the layers with these names.

    Raises:
        ConfigError: a layer does not exist or returns no maps.
    """
    known = {layer.name: layer for layer in map_layers(model)}
    check_map_layers(f"layers: {model.name}", names, list(known))
    return [known[name] for name in names]


def check_map_layers(network: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise ConfigError if a name is not one of a network's layers that return maps.

    Args:
        network: its name, with which the sentence begins.
        names: those that were given.
        known: the layers that return maps.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"{network} has no layer {name!r} that returns maps{did_you_mean(name, known)}")
