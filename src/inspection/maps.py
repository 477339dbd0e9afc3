"""The kernels of convolutions, and their outputs for an image."""

from collections.abc import Collection
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from src.inspection.calls import LayerCall, leaf_layers, observed_calls
from src.models.arithmetic import CONVOLUTIONS


class Filters(NamedTuple):
    """The kernels of a convolution: its layer's name, and float32, (filters, height, width, channels)."""

    name: str
    kernels: npt.NDArray[np.float32]


class FeatureMaps(NamedTuple):
    """The output of a layer for an image: its layer's name, and float32, (height, width, channels)."""

    name: str
    maps: npt.NDArray[np.float32]


def first_filters(model: keras.Model, among: Collection[str] | None = None) -> Filters | None:
    """Return the kernels of the first convolution larger than 1x1; None for a network without one.

    For a depthwise or separable convolution these are the kernels that each see one channel.

    Args:
        model: any network.
        among: the names of the layers to look at, as in `LayerCall`; None for all.
    """
    for name, layer in leaf_layers(model):
        if isinstance(layer, CONVOLUTIONS) and max(layer.kernel_size) > 1 and (among is None or name in among):
            return Filters(name, _kernels(layer))
    return None


def _kernels(layer: keras.layers.Layer) -> npt.NDArray[np.float32]:
    if isinstance(layer, keras.layers.Conv2D):
        return np.moveaxis(keras.ops.convert_to_numpy(layer.kernel), -1, 0)
    is_separable = isinstance(layer, keras.layers.SeparableConv2D)
    kernel = keras.ops.convert_to_numpy(layer.depthwise_kernel if is_separable else layer.kernel)
    height, width, channels, multiplier = kernel.shape
    return np.moveaxis(kernel.reshape(height, width, channels * multiplier), -1, 0)[..., np.newaxis]


def feature_maps(
    model: keras.Model, image: npt.NDArray[np.uint8], among: Collection[str] | None = None
) -> list[FeatureMaps]:
    """Return the output of every convolution, in the order in which the image passes through them.

    Args:
        model: any network; depthwise and separable convolutions count, and so do those of a model inside the model.
        image: uint8, (height, width, channels), 0-255.
        among: the names of the layers, as in `LayerCall`, whose output is returned instead. They must return maps.
    """
    found: list[FeatureMaps] = []

    def keep_maps(call: LayerCall) -> None:
        if isinstance(call.layer, CONVOLUTIONS) if among is None else call.name in among:
            found.append(FeatureMaps(call.name, keras.ops.convert_to_numpy(call.outputs[0]).astype(np.float32)))

    with observed_calls(model, keep_maps):
        model(image[np.newaxis], training=False)
    return found
