"""Calibration: does a model that is 90 % sure of its predictions get 90 % of them right?

References:
    Guo et al. 2017, On Calibration of Modern Neural Networks (reliability diagrams, calibration error, temperature).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from src.certainty.resamples import Labels, Probabilities
from src.confidence import bin_predictions

LOWEST, HIGHEST = 0.1, 20.0  # temperatures that are searched
SMALLEST = float(np.finfo(np.float32).tiny)  # of the probabilities that have a logarithm
ROWS = 10_000  # images whose probabilities are computed at once, in float64


class Reliability(NamedTuple):
    """The predictions of a split by their confidence, the probability of the predicted class.

    Attributes:
        confidence: the mean confidence of each bin, NaN for an empty one; (bins,).
        accuracy: the share of right predictions of each bin, NaN for an empty one; (bins,).
        images: the number of images of each bin; (bins,).
        error: the expected calibration error, 0-1: the mean distance of the two over all images.
    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    images: npt.NDArray[np.int64]
    error: float


def reliability_of(labels: Labels, probabilities: Probabilities) -> Reliability:
    """Return the predictions in bins, see `src.confidence`.

    Args:
        labels: (n,), at least one.
        probabilities: float32, (n, classes).
    """
    bins = bin_predictions(labels, probabilities)
    divisor = np.where(bins.images > 0, bins.images, np.nan)
    return Reliability(bins.confidence / divisor, bins.right / divisor, bins.images, bins.error)


def fit_temperature(labels: Labels, probabilities: Probabilities) -> float:
    """Return the temperature with the smallest mean negative log-likelihood, from 0.1 to 20.

    It is above 1 for a model that is too sure of itself. It is 1 for a model that is right on every image: the lower
    the temperature, the smaller is its loss, so these images do not say how sure it should be of others.

    Args:
        labels: (n,), at least one, of images that the model was not trained on.
        probabilities: float32, (n, classes).
    """
    if (probabilities.argmax(axis=1) == labels).all():
        return 1.0
    logits = np.log(np.maximum(probabilities, SMALLEST).astype(np.float64))
    logits -= logits.max(axis=1, keepdims=True)
    of_labels = logits[np.arange(len(labels)), labels]

    def mean_loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float((np.log(np.exp(logits * scale).sum(axis=1)) - of_labels * scale).mean())

    # The loss is convex in 1 / temperature, so over the logarithm of the temperature too it has one minimum.
    ends = np.log(LOWEST), np.log(HIGHEST)
    found = minimize_scalar(mean_loss, bounds=ends, method="bounded")
    return float(np.exp(min((float(found.x), *ends), key=mean_loss)))


def calibrate(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities of the softmax with its inputs divided by the temperature: float32, (n, classes).

    The predicted classes stay the same. The inputs are known from the probabilities, apart from a constant that does
    not matter.
    """
    calibrated = np.empty_like(probabilities)
    for start in range(0, len(probabilities), ROWS):
        rows = slice(start, start + ROWS)
        logits = np.log(np.maximum(probabilities[rows], SMALLEST).astype(np.float64)) / temperature
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        calibrated[rows] = powers / powers.sum(axis=1, keepdims=True)
    return calibrated
