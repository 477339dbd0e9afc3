"""Test-time augmentation: the mean of a model's probabilities for several views of each image."""

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt

from src.fitting.batches import scoring_batch
from src.fitting.training import probabilities

SHIFT = 0.04  # of a side, at least one pixel; a shift as small as this hardly cuts off anything of an object
Images = npt.NDArray[np.uint8]


def averaged_probabilities(model: keras.Model, images: Images, flips: bool) -> npt.NDArray[np.float32]:
    """Return the mean probabilities of all views of each image: float32, (n, classes).

    Args:
        model: any of the networks.
        images: uint8, (n, height, width, channels), 0-255.
        flips: True to mirror each view too. A network that was not trained on mirrored images may not recognize them.
    """
    if not len(images):
        return probabilities(model, images)
    step = scoring_batch(model)
    batches = (np.asarray(images[start : start + step]) for start in range(0, len(images), step))
    means = [
        np.mean([probabilities(model, view) for view in views_of(batch, flips)], axis=0, dtype=np.float32)
        for batch in batches
    ]
    return np.concatenate(means)


def views_of(images: Images, flips: bool) -> Iterator[Images]:
    """Yield the images as they are, and shifted up, down, left and right; with `flips` also each of these mirrored.

    Empty edges are filled with the pixels next to them.

    Args:
        images: uint8, (n, height, width, channels).
        flips: True to mirror each view too.
    """
    height, width = (max(1, round(SHIFT * side)) for side in images.shape[1:3])
    for down, right in ((0, 0), (-height, 0), (height, 0), (0, -width), (0, width)):
        view = _shifted(_shifted(images, 1, down), 2, right)
        yield view
        if flips:
            yield view[:, :, ::-1]


def _shifted(images: Images, axis: int, pixels: int) -> Images:
    side = images.shape[axis]
    return images.take(np.clip(np.arange(side) - pixels, 0, side - 1), axis=axis) if pixels else images
