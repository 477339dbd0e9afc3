"""The history of a sweep: the best value so far, drawn as steps."""

import numpy as np
import pytest

from src.figures.history import History, history_data, plot_history
from tests.support.trials import METRIC, row

ROWS = [row(0, 0.5), row(1, 0.9, "PRUNED"), row(2, 0.4), row(3, 0.7), row(4, float("nan")), row(5), row(6, 0.7)]


@pytest.mark.parametrize(
    ("direction", "best", "best_trial"),
    [("maximize", [0.5, 0.5, 0.7, 0.7], 3), ("minimize", [0.5, 0.4, 0.4, 0.4], 2)],
)
def test_the_best_so_far_is_over_complete_trials_with_a_finite_value(
    direction: str, best: list[float], best_trial: int
) -> None:
    expected = History([0, 2, 3, 6], [0.5, 0.4, 0.7, 0.7], best, best_trial)
    assert history_data(ROWS, direction) == expected


@pytest.mark.parametrize(
    "rows", [[], [row(0, 0.5, "PRUNED")], [row(0, float("inf"))], [row(0, 0.5, excess="parameters 2 > 1")]]
)
def test_without_a_complete_trial_there_is_no_history(rows: list) -> None:
    assert history_data(rows, "maximize") is None


def test_the_best_so_far_keeps_its_value_until_the_next_better_trial() -> None:
    figure = plot_history(History([0, 2, 3], [0.5, 0.4, 0.7], [0.5, 0.5, 0.7], 3), METRIC)
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "best so far"]
    assert line.get_drawstyle() == "steps-post"
    assert np.asarray(line.get_xydata()).tolist() == [[0, 0.5], [2, 0.5], [3, 0.7]]


def test_the_best_trial_is_marked_and_named() -> None:
    axes = plot_history(History([0, 3], [0.5, 0.7], [0.5, 0.7], 3), METRIC).axes[0]
    (star,) = [line for line in axes.lines if line.get_label() == "best: trial 3"]
    assert np.asarray(star.get_xydata()).tolist() == [[3, 0.7]]
