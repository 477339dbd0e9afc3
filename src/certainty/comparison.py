"""Comparisons of two models on the same images: is the difference more than chance?"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from src.certainty.intervals import LEVEL
from src.certainty.resamples import Labels, MetricFunction, Probabilities, resampled_metrics


class McNemar(NamedTuple):
    """McNemar's test of two classifiers on the same images.

    Attributes:
        first_only: the number of images that only the first classifies correctly.
        second_only: the number of images that only the second classifies correctly.
        p_value: the probability that two equally good classifiers differ by at least as much, in either direction.
    """

    first_only: int
    second_only: int
    p_value: float


def compare_right(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Return the exact test. Of two equally good classifiers, each is right on half of the images on which they differ.

    Args:
        first, second: for each image, True if the classifier is right; (n,).

    Reference: McNemar 1947, Note on the sampling error of the difference between correlated proportions.
    """
    first_only, second_only = int((first & ~second).sum()), int((second & ~first).sum())
    count = first_only + second_only
    return McNemar(first_only, second_only, float(binomtest(first_only, count).pvalue) if count else 1.0)


class PairedBootstrap(NamedTuple):
    """A metric of two models on the same resamples of the images.

    Attributes:
        difference: the metric of the first minus that of the second.
        low, high: the 95 % interval of the difference.
        p_value: twice the share of resamples in which the difference has the other sign or is 0, at most 1.
    """

    difference: float
    low: float
    high: float
    p_value: float


def compare_metric(
    labels: Labels, first: Probabilities, second: Probabilities, function: MetricFunction
) -> PairedBootstrap:
    """Return how two models differ in a metric. A resample in which it is not finite counts as no difference.

    Args:
        labels: (n,), at least one.
        first, second: the probabilities of each model, float32, (n, classes).
        function: the metric.

    References:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 15.
        Davison and Hinkley 1997, Bootstrap Methods and their Application, section 4.2: one more resample on both sides
        of the share, so that p is never 0.
    """
    values = resampled_metrics(labels, [first, second], [function])[:, :, 0]
    differences = values[:, 0] - values[:, 1]
    differences[~np.isfinite(differences)] = 0.0
    opposite = min((differences <= 0).sum(), (differences >= 0).sum())
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return PairedBootstrap(
        difference=function(labels, first) - function(labels, second),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2 * float(opposite + 1) / (len(differences) + 1)),
    )
