"""The maps of a network's layers for a picture of any size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from src import fitting, inspection
from src.errors import ConfigError, NotEnoughMemory, UserError, first_line
from src.models.arithmetic import CONVOLUTIONS

FLOAT = 4  # bytes
COPIES = 8  # of a picture that exist at once, such as the original, a shifted one and a gradient
MIN_SIDE = 16  # pixels; smaller pictures show nothing
PIXEL_MAX = 255.0
FOLLOWERS = (keras.layers.BatchNormalization, keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)

Features = Callable[[tf.Tensor], list[tf.Tensor]]


class Extractor:
    """The maps of some layers of a network, for pictures of any size.

    The body of a network up to its classifier needs no fixed size. It is connected again to an input without one, and
    without the layer that resizes images, so that a picture is seen at its own size. The layers are those of the model.

    Attributes:
        name: of the network.
        channels: 1 for a network that was trained on grayscale images, 3 for RGB.

    Args:
        model: a functional network, from raw pixels (0-255) to probabilities.
        layers: the names of layers that return maps.

    Raises:
        ConfigError: a layer that does not exist or returns no maps.
        UserError: the network needs images of one size.
    """

    def __init__(self, model: keras.Model, layers: Sequence[str]) -> None:
        known = map_layers(model)
        inspection.check_map_layers(model.name, layers, list(known))
        self.name, self.channels = model.name, int(model.input_shape[-1])
        body = keras.Model(model.inputs[0], [known[name].output for name in layers])
        self._values = sum(math.prod(layer.output.shape[1:]) for layer in body.layers)
        resized = [layer for layer in body.layers if isinstance(layer, keras.layers.Resizing)]
        self._pixels = math.prod((resized[-1].output if resized else model.inputs[0]).shape[1:3])
        pixels = keras.Input((None, None, self.channels), name="picture")
        height, width = model.input_shape[1:3]
        try:
            self._body = keras.models.clone_model(body, input_tensors=pixels, clone_function=_keep)
            self(tf.zeros((1, height * 3 // 2, width * 3 // 2, self.channels)))
        except Exception as error:  # a user's layers may raise anything
            raise UserError(
                f"{model.name} cannot be used for pictures of another size than {height}x{width} "
                f"({first_line(error)}); name other layers, or another run"
            ) from error

    def __call__(self, picture: tf.Tensor) -> list[tf.Tensor]:
        """Return the maps of each layer: float32, (batch, rows, columns, channels).

        Args:
            picture: float32, (batch, height, width, channels), 0-1.
        """
        maps = self._body(PIXEL_MAX * picture, training=False)
        return [tf.cast(one, tf.float32) for one in (maps if isinstance(maps, list) else [maps])]

    def fits(self, height: int, width: int) -> bool:
        """Return True if a picture of this size is large enough: no layer would return maps without pixels."""
        if min(height, width) < MIN_SIDE:
            return False
        picture = keras.KerasTensor((1, height, width, self.channels))
        try:
            shapes = self._body.compute_output_spec(picture)
        except (ValueError, ZeroDivisionError):
            return False
        shapes = shapes if isinstance(shapes, list) else [shapes]
        return all(min(one.shape[1:3]) > 0 for one in shapes)

    def check_size(self, height: int, width: int) -> None:
        """Raise ConfigError if a picture of this size is too small for the layers."""
        if not self.fits(height, width):
            raise ConfigError(
                f"a picture of {height}x{width} pixels is too small for {self.name}: a side needs at least "
                f"{MIN_SIDE}, and enough for the layers; use a larger picture, size or tile, or earlier layers"
            )

    def check_memory(self, height: int, width: int, remedy: str, tile: int | None = None, copies: int = COPIES) -> None:
        """Raise NotEnoughMemory if the free memory cannot hold copies of a picture and the outputs of all layers.

        The memory of a machine with a GPU is not checked.

        Args:
            height, width: of the picture.
            remedy: settings that need less memory.
            tile: the longest side of a part of the picture that passes through the layers; None for all of it at once.
            copies: how many arrays of the picture's size exist at once.
        """
        if tf.config.list_physical_devices("GPU"):
            return
        layers = self.min_memory(min(height, tile or height), min(width, tile or width))
        needed, free = layers + copies * FLOAT * height * width * self.channels, fitting.free_memory()
        if needed > free:
            raise NotEnoughMemory(
                f"a picture of {height}x{width} pixels needs at least {needed / 2**30:.1f} GB of memory with "
                f"{self.name}, but only {free / 2**30:.1f} GB are free; {remedy}"
            )

    def min_memory(self, height: int, width: int) -> int:
        """Return the bytes of the outputs of all layers, which are kept for the gradient.

        The outputs grow with the number of pixels; what they have for an image of the training is known.
        """
        return round(FLOAT * self._values * (height * width / self._pixels))


def _keep(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Return the layer itself, or one that does nothing in place of one that resizes images.

    `Identity` takes no `training`, which is an argument of `Resizing`.
    """
    return keras.layers.Dropout(0.0, name=layer.name) if isinstance(layer, keras.layers.Resizing) else layer


def map_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Return the layers that return maps, by name, from the first convolution on, in the model's order."""
    found: dict[str, keras.layers.Layer] = {}
    for layer in model.layers:
        output = layer.output
        is_map = not isinstance(output, list | tuple | dict) and len(output.shape) == 4
        if is_map and (found or _convolves(layer)):
            found[layer.name] = layer
    return found


def _convolves(layer: keras.layers.Layer) -> bool:
    """Return True for a convolution, and for a model with one inside."""
    if isinstance(layer, keras.Model):
        return any(map(_convolves, layer.layers))
    return isinstance(layer, CONVOLUTIONS)


def convolutions(model: keras.Model) -> list[str]:
    """Return the name of each convolution, or of the activation or normalization that alone uses its output.

    Raises:
        UserError: the network has no convolutions.
    """
    known = map_layers(model)
    used: dict[int, list[str]] = {}
    for name, layer in known.items():
        for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
            used.setdefault(id(tensor), []).append(name)

    def last_of(name: str) -> str:
        following = used.get(id(known[name].output), [])
        return last_of(following[0]) if len(following) == 1 and isinstance(known[following[0]], FOLLOWERS) else name

    if not known:
        raise UserError(
            f"{model.name} has no convolutions, and so no maps to make a picture with; name the run of a convolutional "
            "network"
        )
    return [last_of(name) for name, layer in known.items() if _convolves(layer)]


def spread(names: Sequence[str], count: int) -> list[str]:
    """Return up to this many of the names, evenly spread from the first to the last one."""
    count = min(count, len(names))
    if count < 2:
        return list(names[-1:])
    return [names[round(index * (len(names) - 1) / (count - 1))] for index in range(count)]


def chosen_weights(given: Mapping[str, float], default: Sequence[str]) -> dict[str, float]:
    """Return the layers with their weights that were given, or the default layers with the same weight each."""
    return dict(given) or dict.fromkeys(default, 1.0)
