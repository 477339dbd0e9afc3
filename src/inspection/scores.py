"""Scores of the classes, and networks as functions of floating-point images, so that pixels have gradients.

The input of a network is raw pixels, which are integers and have no gradient. So gradients are taken at the first
floating-point tensor: the output of the layer that scales the pixels. Resizing, augmentation and preprocessing come
after it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.inspection.calls import LayerCall, observed_calls
from src.models.building import predict

MAX_IMAGES = 128  # at once
MAX_BYTES = 512 * 2**20  # of the outputs of all layers, which a gradient needs


def call_with_floats(model: keras.Model, floats: tf.Tensor, on_call: Callable[[LayerCall], Any]) -> None:
    """Run the network on floating-point images, and call `on_call` after every call of a layer.

    Args:
        model: any network.
        floats: images as `float_images` returns them.
        on_call: as in `observed_calls`.
    """
    is_replaced = False

    def start_with_floats(call: LayerCall) -> Any:
        nonlocal is_replaced
        if is_replaced or not call.outputs.dtype.is_floating:
            return on_call(call)
        is_replaced = True
        call = call._replace(outputs=tf.cast(floats, call.outputs.dtype))
        on_call(call)
        return call.outputs

    with observed_calls(model, start_with_floats):
        model(tf.zeros((tf.shape(floats)[0], *model.input_shape[1:]), tf.uint8), training=False)


def float_images(model: keras.Model, images: npt.NDArray[np.uint8]) -> tf.Tensor:
    """Return the first floating-point tensor that the network makes of images: float32, the images first."""
    found: list[tf.Tensor] = []

    def keep_first(call: LayerCall) -> None:
        if not found and call.outputs.dtype.is_floating:
            found.append(tf.cast(call.outputs, tf.float32))

    with observed_calls(model, keep_first):
        model(images, training=False)
    return found[0]


def scores_of(model: keras.Model, floats: tf.Tensor, classes: Sequence[int] | tf.Tensor) -> tf.Tensor:
    """Return the score of a class before the softmax for each image: float32, (n,).

    Args:
        model: any network.
        floats: n images as `float_images` returns them.
        classes: one for each image.
    """
    last: LayerCall | None = None

    def keep_last(call: LayerCall) -> None:
        nonlocal last
        last = call

    call_with_floats(model, floats, keep_last)
    assert last is not None
    return gather_scores(last, classes)


def gather_scores(last: LayerCall, classes: Sequence[int] | tf.Tensor) -> tf.Tensor:
    """Return the score of one class for each image before the softmax, float32, (n,), from the last call of a layer."""
    chosen = tf.convert_to_tensor(classes, tf.int32)
    return tf.cast(tf.gather(_before_softmax(last), chosen, axis=1, batch_dims=1), tf.float32)


def _before_softmax(last: LayerCall) -> tf.Tensor:
    """Return the scores of all classes, (n, classes)."""
    if isinstance(last.layer, keras.layers.Dense) and last.layer.activation is keras.activations.softmax:
        # The layer may compute in another precision than the one before it.
        scores = tf.cast(last.inputs, last.layer.compute_dtype) @ tf.cast(last.layer.kernel, last.layer.compute_dtype)
        return scores + tf.cast(last.layer.bias, scores.dtype) if last.layer.use_bias else scores
    if isinstance(last.layer, keras.layers.Softmax | keras.layers.Activation):
        return last.inputs
    return last.outputs


def images_at_once(model: keras.Model) -> int:
    """Return how many images to compute at once, so that the outputs of all layers take 512 MB at most."""
    values = 0

    def count(call: LayerCall) -> None:
        nonlocal values
        values += sum(int(np.prod(output.shape[1:])) for output in tf.nest.flatten(call.outputs))

    with observed_calls(model, count):
        model(np.zeros((1, *model.input_shape[1:]), np.uint8), training=False)
    return max(1, min(MAX_IMAGES, MAX_BYTES // (4 * values)))


def batches(model: keras.Model, count: int) -> list[slice]:
    """Return the slices of this many images that are computed at once; see `images_at_once`."""
    at_once = images_at_once(model)
    return [slice(start, start + at_once) for start in range(0, count, at_once)]


def probabilities_of(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the probabilities of one or more images, computed in batches: float32, (n, classes).

    Args:
        model: any network.
        images: uint8, (n, height, width, channels), 0-255.
    """
    return np.concatenate([predict(model, images[part]) for part in batches(model, len(images))])
