"""The trials of a sweep: whose curve is drawn, and how it ends."""

import numpy as np

from src import figures
from src.figures import TrialCurve
from src.results import TrialRow
from tests.support.figures import png


def trial_row(number: int, state: str, reported: dict[int, float]) -> TrialRow:
    return TrialRow(number, state, None, {}, 1.0, 1, len(reported), reported, None, False, "")


def test_the_curves_of_trials_are_in_the_order_of_their_epochs_and_silent_trials_are_left_out() -> None:
    rows = [trial_row(0, "COMPLETE", {2: 0.8, 1: 0.5}), trial_row(1, "FAIL", {}), trial_row(2, "PRUNED", {1: 0.1})]
    assert figures.trial_curves_data(rows) == [
        TrialCurve(0, "COMPLETE", [1, 2], [0.5, 0.8]),
        TrialCurve(2, "PRUNED", [1], [0.1]),
    ]


def test_a_pruned_trials_curve_ends_with_a_cross_and_a_complete_ones_does_not() -> None:
    curves = [TrialCurve(0, "COMPLETE", [1, 2], [0.5, 0.8]), TrialCurve(2, "PRUNED", [1], [0.1])]
    figure = figures.plot_trial_curves(curves, "val_accuracy")
    (axes,) = figure.axes
    crosses = [np.asarray(line.get_xydata()).tolist() for line in axes.lines if line.get_marker() == "x"]
    assert [points for points in crosses if points] == [[[1.0, 0.1]]]  # without those of the legend
    assert axes.get_ylabel() == "val_accuracy"
    assert png(figure)
