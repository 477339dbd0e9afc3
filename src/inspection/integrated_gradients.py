"""Integrated gradients: how much each pixel adds to the score of a class."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.inspection.scores import float_images, images_at_once, scores_of

STEPS = (32, 64, 128)  # tried in this order, until the gap is small enough
TOLERANCE = 0.01  # of the difference of the scores


class Attributions(NamedTuple):
    """The shares of the pixels in a score.

    Attributes:
        maps: float32, (n, height, width), in units of the score.
        differences: (n,), the score of each image less that of a black one, which the map's sum should be.
        gaps: (n,), the distance from this sum as a share of the difference.
    """

    maps: npt.NDArray[np.float32]
    differences: npt.NDArray[np.float32]
    gaps: npt.NDArray[np.float32]


def integrated_gradients(
    model: keras.Model, images: npt.NDArray[np.uint8], classes: Sequence[int], steps: Sequence[int] = STEPS
) -> Attributions:
    """Return how much each pixel adds to the score of a class, compared with a black image.

    The gradient of the score before the softmax is averaged over the images on the line from black to the image, and
    multiplied by the difference of the two. The sum of all attributions is the difference of the scores
    (completeness), up to the error of the mean. The number of images on the line grows until this gap is at most 1 % of
    the difference; 128 are the limit.

    Args:
        model: any network.
        images: uint8, (n, height, width, channels), 0-255.
        classes: one for each image.
        steps: numbers of images on the line, in the order in which they are tried.

    Reference:
        Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks", equations 1 and 3; here the mean is
        taken at the middle of each step.
    """
    at_once = images_at_once(model)
    ends, starts = float_images(model, images), float_images(model, np.zeros_like(images))
    differences = np.asarray(scores_of(model, ends, classes) - scores_of(model, starts, classes))
    found = []
    for start, end, label, difference in zip(starts, ends, classes, differences, strict=True):
        for count in steps:
            attributions = (end - start) * _mean_gradient(model, start, end, label, count, at_once)
            gap = abs(float(tf.reduce_sum(attributions)) - difference) / max(abs(difference), 1e-6)
            if gap <= TOLERANCE:
                break
        found.append((np.asarray(tf.reduce_sum(attributions, axis=-1)), gap))
    maps, gaps = zip(*found, strict=True)
    return Attributions(np.stack(maps), differences, np.array(gaps, np.float32))


def _mean_gradient(
    model: keras.Model, start: tf.Tensor, end: tf.Tensor, label: int, count: int, at_once: int
) -> tf.Tensor:
    """Return the mean gradient at the middles of this many steps from start to end."""
    middles = (np.arange(count, dtype=np.float32) + 0.5) / count
    total = tf.zeros_like(start)
    for first in range(0, count, at_once):
        shares = middles[first : first + at_once, np.newaxis, np.newaxis, np.newaxis]
        line = start + shares * (end - start)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(line)
            score = tf.reduce_sum(scores_of(model, line, [label] * len(shares)))
        total += tf.reduce_sum(tape.gradient(score, line), axis=0)
    return total / count
