"""The trials of a sweep epoch by epoch: whose curve is drawn, and how it ends."""

import numpy as np
import pytest

from src import figures
from src.figures import TrialCurve
from tests.support.trials import METRIC, row

CURVES = [
    TrialCurve(0, "COMPLETE", [1, 2], [0.5, 0.8]),
    TrialCurve(2, "PRUNED", [1], [0.1]),
    TrialCurve(3, "FAIL", [1], [0.2]),
    TrialCurve(4, "INTERRUPTED", [1, 2], [0.3, 0.4]),
]


def test_the_curves_of_trials_are_in_the_order_of_their_epochs_and_silent_trials_have_none() -> None:
    rows = [
        row(0, state="COMPLETE", reported={2: 0.8, 1: 0.5}),
        row(1, state="FAIL"),
        row(2, state="PRUNED", reported={1: 0.1}),
        row(3, state="FAIL", reported={1: 0.2}),
        row(4, state="FAIL", reported={1: 0.3, 2: 0.4}, interrupted=True),
    ]
    assert figures.trial_curves_data(rows) == CURVES


def test_the_curve_of_a_trial_that_is_not_complete_ends_with_a_cross() -> None:
    axes = figures.plot_trial_curves(CURVES, METRIC).axes[0]
    crosses = {
        line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.lines if line.get_marker() == "x"
    }
    assert crosses == {"pruned": [[1.0, 0.1]], "failed": [[1.0, 0.2]], "interrupted": [[2.0, 0.4]]}
    assert axes.get_ylabel() == METRIC


@pytest.mark.parametrize("epochs", [1, 2, 7, 200])
def test_epochs_are_integers(epochs: int) -> None:
    curve = TrialCurve(0, "COMPLETE", list(range(1, epochs + 1)), [0.5] * epochs)
    axes = figures.plot_trial_curves([curve], METRIC).axes[0]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert shown
    assert all(tick == int(tick) and 1 <= tick <= epochs for tick in shown)
