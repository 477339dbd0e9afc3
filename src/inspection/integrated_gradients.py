"""Integrated gradients: how much each pixel adds to the score of a class."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.inspection.scores import float_images, images_at_once, scores_of

STEPS = (32, 64, 128)  # tried in this order, until the gap is small enough
MAX_GAP = 0.01  # as a part of the difference of the scores; while the gap is larger, more steps are tried
SMALLEST = 1e-6  # the smallest difference of scores by which is divided


class Attributions(NamedTuple):
    """The shares of the pixels in a score.

    Attributes:
        maps: float32, (n, height, width), in units of the score.
        differences: (n,), the score of each image minus that of a black one, which the map's sum should be.
        missing: (n,), the distance between the two.
    """

    maps: npt.NDArray[np.float32]
    differences: npt.NDArray[np.float32]
    missing: npt.NDArray[np.float32]

    @property
    def gaps(self) -> npt.NDArray[np.floating]:
        """The missing part of each image, as a share of its difference; large where that is almost 0."""
        return self.missing / np.maximum(np.abs(self.differences), SMALLEST)

    @property
    def gap(self) -> float:
        """The missing part of all images together, as a share of all differences."""
        return float(self.missing.sum() / max(np.abs(self.differences).sum(), SMALLEST))


def integrated_gradients(
    model: keras.Model, images: npt.NDArray[np.uint8], classes: Sequence[int], steps: Sequence[int] = STEPS
) -> Attributions:
    """Return how much each pixel adds to the score of a class, compared with a black image.

    The gradient of the score before the softmax is averaged over the images on the line from black to the image, and
    multiplied by the difference of the two. The sum of all attributions is the difference of the scores
    (completeness), up to the error of the mean. The number of images on the line grows until this gap is at most 1 % of
    the difference; 128 are the limit, and the gap may be larger then.

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
    start = float_images(model, np.zeros_like(images[:1]))[0]
    found = []
    for image, label in zip(images, classes, strict=True):
        end = float_images(model, image[np.newaxis])[0]
        with_pixels, without = (float(scores_of(model, one[tf.newaxis], [label])[0]) for one in (end, start))
        difference = with_pixels - without
        for count in steps:
            attributions = (end - start) * _mean_gradient(model, start, end, label, count, at_once)
            missing = abs(float(tf.reduce_sum(attributions)) - difference)
            if missing <= MAX_GAP * max(abs(difference), SMALLEST):
                break
        found.append((np.asarray(tf.reduce_sum(attributions, axis=-1)), difference, missing))
    maps, differences, distances = zip(*found, strict=True)
    return Attributions(np.stack(maps), np.array(differences, np.float32), np.array(distances, np.float32))


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
