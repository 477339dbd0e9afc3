"""The arithmetic of a range test: averages of its losses, and the learning rate that follows from them."""

from collections.abc import Sequence
from typing import NamedTuple

MEMORY = 0.9  # of the moving average of the losses: each counts for about ten batches
DIVERGED = 4  # times the best average, as in the test of fastai
MIN_FALL = 0.95  # times the first average: if no average is smaller, nothing was learned
FIRST = 10  # batches, whose average is the loss before anything is learned; a smaller average of fewer is noise
SAFETY = 2  # the suggestion is this many times smaller than the rate with the smallest average


class RangeTest(NamedTuple):
    """The batches of a range test until it ended, and what follows from them.

    Attributes:
        rates: the learning rate of each batch, larger than the one before.
        losses: of each batch.
        smoothed: the moving average of the losses.
        best: the place of the smallest average.
        suggestion: a learning rate for the training; None if the loss did not fall after the first batches.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    best: int
    suggestion: float | None


def evaluate_losses(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Return the averages of the losses, and half of the learning rate with the smallest one.

    At the smallest average the rate is nearly too large: larger ones raise the loss, and the average lags behind. For
    measurements of this and other rules, see docs/decisions.md.

    Args:
        rates: at least as many as there are losses, in increasing order.
        losses: of the batches, at least one.
    """
    smoothed = smooth(losses)
    best = min(range(len(smoothed)), key=smoothed.__getitem__)
    has_fallen = best >= FIRST and smoothed[best] < MIN_FALL * smoothed[FIRST - 1]
    suggestion = rates[best] / SAFETY if has_fallen else None
    return RangeTest(list(rates[: len(smoothed)]), list(losses), smoothed, best, suggestion)


def smooth(losses: Sequence[float]) -> list[float]:
    """Return the exponential moving averages of the losses, corrected for their beginning as in Adam."""
    average, averages = 0.0, []
    for count, loss in enumerate(losses, start=1):
        average = MEMORY * average + (1 - MEMORY) * loss
        averages.append(average / (1 - MEMORY**count))
    return averages


def has_diverged(losses: Sequence[float]) -> bool:
    """Return True if the average is several times the best one so far."""
    averages = smooth(losses)
    return averages[-1] > DIVERGED * min(averages)
