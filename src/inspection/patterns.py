"""Images that a network answers to most: for a filter of a convolution, and for a class."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.inspection.calls import LayerCall, leaf_layers
from src.inspection.scores import batches, call_with_floats, float_images, scores_of

STEPS = 96
LEARNING_RATE = 0.05  # of Adam, as in the reference
EPSILON = 1e-16  # of Adam: only the direction of a gradient matters, and in a deep network without training it is tiny
JITTER = 0.1  # of each side, by which an image is shifted at random before each step
STRONGEST = 0.25  # of the places of a map count
MAX_SEED = 2**31  # TensorFlow's seeds have 32 bits
DECAY = 1.0  # amplitudes are divided by the frequency to this power
Answers = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Patterns = npt.NDArray[np.float32]


def filter_patterns(model: keras.Model, layer: str, channels: Sequence[int], seed: int, steps: int = STEPS) -> Patterns:
    """Return an image for each channel of a layer, on which the channel's map is large at a quarter of its places.

    The mean of all places of a linear map does not depend on the pattern, but on how bright it is. The map is that
    before the layer's activation. After it a filter may answer nothing to the first image, and then nothing says how
    to change it.

    Args:
        model: any network.
        layer: the name of a layer that returns maps, as in `LayerCall`.
        channels: of these maps.
        seed: of the random numbers.
        steps: of gradient ascent.

    Returns:
        float32, (channels, height, width, image channels), 0-1.

    References:
        Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network"; Olah, Mordvintsev and Schubert 2017,
        "Feature Visualization", for the image as a sum of waves and the shifts.
    """

    def answers(floats: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        maps: Any = None

        def keep_maps(call: LayerCall) -> None:
            nonlocal maps
            if call.name == layer:
                maps = call.outputs

        call_with_floats(model, floats, keep_maps)
        chosen = tf.gather(tf.cast(maps, tf.float32), targets, axis=3, batch_dims=1)
        places = chosen.shape[1] * chosen.shape[2]
        strongest = tf.math.top_k(tf.reshape(chosen, (-1, places)), max(1, round(STRONGEST * places))).values
        return tf.reduce_mean(strongest, axis=1)

    with _without_activation(dict(leaf_layers(model))[layer]):
        return _ascend(model, answers, channels, seed, steps)


@contextmanager
def _without_activation(layer: keras.layers.Layer) -> Iterator[None]:
    """Remove the activation that is a part of a layer, if there is one, inside the block."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        yield
        return
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = activation


def class_patterns(model: keras.Model, classes: Sequence[int], seed: int, steps: int = STEPS) -> Patterns:
    """Return an image for each class, for which the score of the class before the softmax is large.

    Args:
        model: any network.
        classes: the labels.
        seed: of the random numbers.
        steps: of gradient ascent.

    Returns:
        float32, (classes, height, width, channels), 0-1.

    References:
        Simonyan, Vedaldi and Zisserman 2014, "Deep Inside Convolutional Networks", section 2. They keep the image small
        with an L2 penalty; here it is a sum of waves, as in `filter_patterns`.
    """
    return _ascend(model, lambda floats, targets: scores_of(model, floats, targets), classes, seed, steps)


def _ascend(model: keras.Model, answers: Answers, targets: Sequence[int], seed: int, steps: int) -> Patterns:
    """Return an image for each target, for which the answer is large: float32, (n, height, width, channels), 0-1."""
    low, high = (float_images(model, np.full((1, *model.input_shape[1:]), value, np.uint8)) for value in (0, 255))
    parts = batches(model, len(targets))
    return np.concatenate([_climb(answers, low, high, targets[part], seed, steps) for part in parts])


def _climb(
    answers: Answers, low: tf.Tensor, high: tf.Tensor, targets: Sequence[int], seed: int, steps: int
) -> Patterns:
    """Return an image for each target of a batch; `low` and `high` are what the network makes of black and of white.

    An image is the sigmoid of a sum of waves. High frequencies have small amplitudes, so that the noise that gradients
    prefer does not grow first. Shifting the image before each step keeps what does not depend on a single pixel.
    """
    height, width, channels = low.shape[1:]
    scale, chosen = _amplitudes(height, width), tf.constant(targets, tf.int32)
    furthest = tf.constant([JITTER * height, JITTER * width], tf.float32)
    seed %= MAX_SEED
    waves = tf.Variable(0.01 * tf.random.stateless_normal((2, len(targets), channels, *scale.shape), (seed, 0)))
    optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON)
    optimizer.build([waves])

    def images() -> tf.Tensor:
        waved = tf.signal.irfft2d(scale * tf.complex(waves[0], waves[1]), [height, width])
        return tf.sigmoid(tf.transpose(waved, (0, 2, 3, 1)))

    def climb(step: tf.Tensor) -> None:
        shift = furthest * tf.random.stateless_uniform((2,), (seed, step), -1, 1)
        with tf.GradientTape() as tape:
            shifted = tf.roll(images(), tf.cast(tf.round(shift), tf.int32), axis=(1, 2))
            loss = -tf.reduce_sum(answers(low + shifted * (high - low), chosen))
        optimizer.apply([tape.gradient(loss, waves)], [waves])

    climb_once = tf.function(climb, autograph=False)
    for step in tf.range(steps):
        climb_once(step)
    return np.asarray(images())


def _amplitudes(height: int, width: int) -> tf.Tensor:
    """Return the amplitude of each wave of `irfft2d`, complex64, (height, width // 2 + 1): 1 / frequency."""
    down, across = np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width)
    frequencies = np.maximum(np.hypot(down, across), 1 / max(height, width))
    return tf.constant(np.sqrt(height * width) / frequencies**DECAY, tf.complex64)
