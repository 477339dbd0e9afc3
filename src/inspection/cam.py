"""Grad-CAM: the places of an image that are evidence for a class."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.cli.mistakes import did_you_mean
from src.errors import ConfigError
from src.inspection.calls import LayerCall, observed_calls
from src.models.arithmetic import CONVOLUTIONS


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
    if (name := _choose_layer(model, images[:1], layer)) is None:
        return None
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
        scores = tf.gather(_scores(last), tf.constant(classes, tf.int32), axis=1, batch_dims=1)
    return maps, tape.gradient(scores, maps)


def _choose_layer(model: keras.Model, image: npt.NDArray[np.uint8], layer: str | None) -> str | None:
    """Return the name of the layer whose maps are used; None for a network without convolutions."""
    sizes: dict[str, tuple[int, ...]] = {}
    size = None

    def note_size(call: LayerCall) -> None:
        nonlocal size
        if len(call.outputs.shape) == 4:
            sizes[call.name] = tuple(call.outputs.shape[1:3])
            if isinstance(call.layer, CONVOLUTIONS):
                size = sizes[call.name]

    with observed_calls(model, note_size):
        model(image, training=False)
    if layer is not None and layer not in sizes:
        raise ConfigError(f"{model.name} has no layer {layer!r} that returns maps{did_you_mean(layer, list(sizes))}")
    return layer or next((name for name in reversed(sizes) if sizes[name] == size), None)


def _scores(last: LayerCall) -> tf.Tensor:
    """Return the scores of the classes before the softmax, (n, classes), from the last call of a layer."""
    if isinstance(last.layer, keras.layers.Dense) and last.layer.activation is keras.activations.softmax:
        scores = last.inputs @ last.layer.kernel
        return scores + last.layer.bias if last.layer.use_bias else scores
    if isinstance(last.layer, keras.layers.Softmax | keras.layers.Activation):
        return last.inputs
    return last.outputs
