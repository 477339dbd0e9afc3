"""Occlusion: the places of an image that a prediction depends on, found by covering them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from src.inspection.scores import probabilities_of

PATCH, STRIDE = 0.2, 0.1  # of each side of the image
Images = npt.NDArray[np.uint8]
Heats = npt.NDArray[np.floating]


def occlusion_maps(
    model: keras.Model, images: Images, classes: Sequence[int], patch: float = PATCH, stride: float = STRIDE
) -> npt.NDArray[np.float32]:
    """Return how much the probability of a class drops when a place of an image is covered.

    A patch in the mean color of the image moves over it. The value of a pixel is the mean drop over all patches that
    cover it; below 0 if the class becomes more probable without them.

    Args:
        model: any network.
        images: uint8, (n, height, width, channels), 0-255.
        classes: one for each image.
        patch, stride: the side of the patch and its step, as shares of the sides of the image.

    Returns:
        float32, (n, height, width), -1 to 1.

    Reference:
        Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2. They use a gray
        patch; the mean color is as gray as the image is, and not a shape of its own on a dark background.
    """
    places = list(_places(images.shape[1], images.shape[2], patch, stride))
    found = np.zeros(images.shape[:3], np.float32)
    for same in _equal_images(images):
        image, labels = images[same[0]], [classes[index] for index in same]
        whole, *covered = probabilities_of(model, np.concatenate([image[np.newaxis], _cover(image, places)]))[:, labels]
        drops, times = np.zeros((*image.shape[:2], len(same)), np.float32), np.zeros((*image.shape[:2], 1), int)
        for place, probabilities in zip(places, covered, strict=True):
            drops[place] += whole - probabilities
            times[place] += 1
        found[same] = np.moveaxis(drops / times, -1, 0)
    return found


def _equal_images(images: Images) -> list[list[int]]:
    """Return the indices of the images, those of equal images together: one image is explained for several classes."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        found[image.tobytes()].append(index)
    return list(found.values())


def _places(height: int, width: int, patch: float, stride: float) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of each patch; the last ones of a row or column end at the edge."""
    for top in _starts(height, patch, stride):
        for left in _starts(width, patch, stride):
            yield slice(top, top + _pixels(height, patch)), slice(left, left + _pixels(width, patch))


def _starts(side: int, patch: float, stride: float) -> list[int]:
    last = side - _pixels(side, patch)
    return sorted({*range(0, last, _pixels(side, stride)), last})


def _pixels(side: int, share: float) -> int:
    return min(side, max(1, round(share * side)))


def _cover(image: npt.NDArray[np.uint8], places: Sequence[tuple[slice, slice]]) -> Images:
    """Return a copy of the image for each place, with the place covered."""
    covered = np.repeat(image[np.newaxis], len(places), axis=0)
    color = image.mean(axis=(0, 1)).round().astype(np.uint8)
    for copy, place in zip(covered, places, strict=True):
        copy[place] = color
    return covered


def rank_correlations(heats: Heats, others: Heats) -> list[float | None]:
    """Return Spearman's rank correlation of two heat maps for each image, -1 to 1, None if one map is constant.

    Args:
        heats, others: (n, height, width).
    """
    pairs = [(heat.ravel(), other.ravel()) for heat, other in zip(heats, others, strict=True)]
    return [float(spearmanr(*pair).statistic) if all(map(np.ptp, pair)) else None for pair in pairs]
