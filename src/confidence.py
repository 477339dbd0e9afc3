"""The predictions of a split by their confidence, the probability of the predicted class.

References:
    Guo et al. 2017, On Calibration of Modern Neural Networks (15 bins, equation 3).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BINS = 15  # of equal width, as in the paper


class Bins(NamedTuple):
    """Sums over the predictions of each bin, (bins,), and their error.

    Attributes:
        images: the number of predictions.
        confidence: the sum of their confidences.
        right: the number of right ones.
        error: the expected calibration error, 0-1: the mean distance between confidence and accuracy over all images.
    """

    images: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    error: float


def bin_predictions(labels: npt.NDArray[np.integer], probabilities: npt.NDArray[np.float32]) -> Bins:
    """Return the predictions in 15 bins of equal width. A bin contains its upper edge.

    Args:
        labels: (n,), at least one.
        probabilities: float32, (n, classes).
    """
    confidences = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)

    def sums(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(bins, weights=values, minlength=BINS).astype(np.float64, copy=False)

    return Bins(
        images=np.bincount(bins, minlength=BINS),
        confidence=sums(confidences),
        right=sums(is_right.astype(np.float64)),
        error=float(np.abs(sums(is_right - confidences)).sum() / len(labels)),
    )
