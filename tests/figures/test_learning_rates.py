"""The figure of a range test."""

from typing import Any

import pytest

from src import figures
from src.figures.learning_rates import loss_limits
from src.learning_rates import RangeTest
from tests.support.figures import overlapping_texts, png

FOUND = RangeTest([1e-3, 1e-2, 1e-1, 1.0], [2.0, 1.0, 0.5, 900.0], [2.0, 1.4, 1.0, 300.0], 2, 0.1 / 3)


def test_the_axis_has_every_small_loss_and_ends_above_the_first_losses_not_at_those_that_diverge() -> None:
    low, high = loss_limits(FOUND)
    assert 0.4 < low < 0.5
    assert 2.0 < high < 3.0


@pytest.mark.parametrize("suggestion", [None, 0.1 / 3])
def test_the_suggestion_is_a_line_if_there_is_one(suggestion: float | None) -> None:
    figure = figures.plot_range_test(FOUND._replace(suggestion=suggestion), "lenot on mnist, adam")
    axes: Any = figure.axes[0]
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["loss of a batch", "average"] + (["suggested: 0.033"] if suggestion else [])
    assert axes.get_xscale() == "log"
    assert png(figure).startswith(b"\x89PNG")
    assert overlapping_texts(figure) == []


def test_equal_losses_can_be_drawn() -> None:
    assert png(figures.plot_range_test(RangeTest([0.1, 0.2], [2.0] * 2, [2.0] * 2, 0, None), "flat"))
