"""Intervals of 95 % for metrics of a test split: how far they would move with other test images.

They do not contain how far a metric moves when the model is trained again with another seed.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from src.certainty.resamples import Labels, MetricFunction, Probabilities, resampled_metrics
from src.results import Interval
from src.schema import METRICS

LEVEL = 0.95


def intervals_of(
    labels: Labels, probabilities: Probabilities, functions: Mapping[str, MetricFunction]
) -> dict[str, Interval]:
    """Return the interval of each metric: by Wilson's method for a share of the images, else by the bootstrap.

    A metric that is not finite in most resamples gets no interval.

    Args:
        labels: (n,), at least one.
        probabilities: float32, (n, classes).
        functions: the metrics by their names in `METRICS`.

    References:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals).
    """
    shares = {name: function for name, function in functions.items() if METRICS[name].is_share}
    found = {name: _wilson(function(labels, probabilities), len(labels)) for name, function in shares.items()}
    others = {name: function for name, function in functions.items() if name not in shares}
    if others:
        values = resampled_metrics(labels, [probabilities], list(others.values()))[:, 0]
        for (name, function), column in zip(others.items(), values.T, strict=True):
            interval = _percentiles(column, function(labels, probabilities))
            if interval is not None:
                found[name] = interval
    return {name: found[name] for name in functions if name in found}


def mean_interval(labels: Labels, models: Sequence[Probabilities], function: MetricFunction) -> Interval | None:
    """Return the interval of the mean metric of several models on the same images; None if it is not finite.

    Args:
        labels: (n,), at least one.
        models: for each model its probabilities, float32, (n, classes).
        function: the metric.
    """
    values = resampled_metrics(labels, models, [function])[:, :, 0].mean(axis=1)
    return _percentiles(values, float(np.mean([function(labels, probabilities) for probabilities in models])))


def _wilson(share: float, images: int) -> Interval:
    share = round(share * images) / images
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    center = share + z**2 / (2 * images)
    margin = z * math.sqrt(share * (1 - share) / images + (z / (2 * images)) ** 2)
    low, high = ((center + side) / (1 + z**2 / images) for side in (-margin, margin))
    return Interval(0.0 if share == 0 else low, 1.0 if share == 1 else high)


def _percentiles(values: npt.NDArray[np.float64], value: float) -> Interval | None:
    """Return the middle 95 % of a metric's values in resamples; None if the value or most of them are not finite.

    The interval contains the value itself. A metric such as the calibration error is larger in almost every resample.
    """
    finite = values[np.isfinite(values)]
    if not np.isfinite(value) or 2 * len(finite) <= len(values):
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(min(float(low), value), max(float(high), value))
