"""Grad-CAM: the places of an image that are evidence for a class."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.inspection.calls import LayerCall, observed_calls
from src.inspection.layers import find_layers, map_layers
from src.inspection.scores import batches, gather_scores


def grad_cam(
    model: keras.Model, images: npt.NDArray[np.uint8], classes: Sequence[int], layer: str | None = None
) -> npt.NDArray[np.float32] | None:
    """Return heat maps: how strong the evidence for a class is at each place of an image.

    With the maps A_k of a layer and the score y of the class before the softmax, the weight w_k of a map is the mean of
    dy/dA_k over its places, and the heat is max(0, sum_k w_k A_k), so that only evidence for the class counts. The
    heat is enlarged to the size of the image and divided by its largest value.

    Args:
        model: any network.
        images: uint8, (n, height, width, channels), 0-255.
        classes: one for each image.
        layer: the name of a layer that returns maps. None chooses the last one whose maps are as large as those of the
            last convolution, so that normalization, activation and shortcut after it are included.

    Returns:
        float32, (n, height, width), 0-1, all 0 if nothing is evidence for the class; None for a network without
        convolutions.

    Raises:
        ConfigError: a layer that does not exist or returns no maps.

    Reference:
        Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
        equations 1 and 2.
    """
    name = _last_maps(model) if layer is None else find_layers(model, [layer])[0].name
    if name is None:
        return None
    parts = batches(model, len(images))
    return np.concatenate([_heats(model, images[part], classes[part], name) for part in parts])


def _heats(
    model: keras.Model, images: npt.NDArray[np.uint8], classes: Sequence[int], name: str
) -> npt.NDArray[np.float32]:
    """Return the heat maps of a batch in a layer."""
    maps, gradients = _maps_and_gradients(model, images, classes, name)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    heat = tf.image.resize(heat, images.shape[1:3])[..., 0]
    return np.asarray(tf.math.divide_no_nan(heat, tf.reduce_max(heat, axis=(1, 2), keepdims=True)))


def _maps_and_gradients(
    model: keras.Model, images: npt.NDArray[np.uint8], classes: Sequence[int], name: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the maps of a layer, (n, rows, columns, channels), and the gradients of the classes' scores by them."""
    maps: Any = None
    last: LayerCall | None = None
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def watch_layer(call: LayerCall) -> None:
            nonlocal maps, last
            last = call
            if call.name == name:
                tape.watch(maps := call.outputs)

        with observed_calls(model, watch_layer):
            model(images, training=False)
        assert last is not None
        scores = gather_scores(last, classes)
    return maps, tape.gradient(scores, maps)


def _last_maps(model: keras.Model) -> str | None:
    """Return the layer that is used if none is named; None for a network without convolutions."""
    layers = map_layers(model)
    size = next((layer.shape[:2] for layer in reversed(layers) if layer.is_convolution), None)
    return next((layer.name for layer in reversed(layers) if layer.shape[:2] == size), None)
