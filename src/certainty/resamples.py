"""Resamples of a test split: as many images, drawn with replacement, the same in every call."""

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from src.errors import UserError

Labels = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.float32]
MetricFunction = Callable[[Labels, Probabilities], float]

SEED = 20_261_129  # any number; a fixed one, so that scoring a model again gives the same intervals
MAX_RESAMPLES, MIN_RESAMPLES = 1_000, 200
# Probabilities read for all resamples together. Above, there are fewer resamples: 10,000 images of 100 classes are the
# largest split with 1,000 of them, which take ten seconds of one core for ten metrics.
MAX_READ = 1_000_000_000


def resampled_metrics(
    labels: Labels, models: Sequence[Probabilities], functions: Sequence[MetricFunction]
) -> npt.NDArray[np.float64]:
    """Return the metrics of each model in each resample: (resamples, models, metrics).

    All models and metrics see the same resamples. One resample is in memory at a time.

    Args:
        labels: (n,), at least one.
        models: for each model its probabilities, float32, (n, classes).
        functions: a metric each, of labels and probabilities. One that is not defined for a resample, which may have no
            image of a class, gives NaN.
    """
    count = len(labels)
    resamples = min(max(MAX_READ // models[0].size, MIN_RESAMPLES), MAX_RESAMPLES)
    random = np.random.default_rng(SEED)
    values = np.empty((resamples, len(models), len(functions)))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a resample without images of a class is not a fault of the data
        for resample in values:
            chosen = random.integers(0, count, count)
            chosen.sort()  # the order of the images does not matter, and neighbors in memory are read faster
            chosen_labels = labels[chosen]
            for row, probabilities in zip(resample, models, strict=True):
                chosen_probabilities = probabilities[chosen]
                row[:] = [_value(function, chosen_labels, chosen_probabilities) for function in functions]
    return values


def _value(function: MetricFunction, labels: Labels, probabilities: Probabilities) -> float:
    """Return the metric, NaN if a user's metric fails because the resample has no image of a class."""
    try:
        return function(labels, probabilities)
    except UserError:
        return math.nan
