"""Two parameters together: points, and between numbers a filled contour."""

import numpy as np
import pytest

from src.figures.axes import parameter_axis
from src.figures.contour import Contour, contour_data, plot_contour, spread
from src.results import Parameter
from tests.support.trials import METRIC, row

X, Y, KIND = Parameter("x"), Parameter("y"), Parameter("kind", choices=("a", "b"))
ROWS = [
    row(0, 0.5, params={"x": 1, "y": 1, "kind": "a"}),
    row(1, 0.6, params={"x": 3, "y": 2, "kind": "a"}),
    row(2, 0.7, params={"x": 4, "y": 9, "kind": "b"}),
    row(3, 0.7, params={"x": 4}),
]


def test_only_trials_with_both_parameters_count() -> None:
    expected = Contour(parameter_axis(X, [1, 3, 4]), parameter_axis(Y, [1, 2, 9]), [0, 1, 2], [0.5, 0.6, 0.7])
    assert contour_data(ROWS, [X, Y, KIND]) == expected


@pytest.mark.parametrize("parameters", [[], [X], [X, Parameter("z")]])
def test_there_is_no_contour_without_two_parameters(parameters: list[Parameter]) -> None:
    assert contour_data(ROWS, parameters) is None


@pytest.mark.parametrize(
    ("parameters", "rows", "is_filled"),
    [
        ([X, Y], ROWS, True),
        ([X, KIND], ROWS, False),
        ([KIND, X], ROWS, False),
        ([X, Y], ROWS[:2], False),
        ([X, Y], [row(number, number, params={"x": number, "y": number}) for number in range(5)], False),  # one line
        ([X, Y], [one._replace(value=0.5) for one in ROWS], False),
        ([X, Y], ROWS * 2, True),
    ],
    ids=["numbers", "a choice above", "a choice across", "two trials", "one line", "equal values", "equal trials"],
)
def test_only_numbers_that_span_an_area_are_filled(parameters: list[Parameter], rows: list, is_filled: bool) -> None:
    data = contour_data(rows, parameters)
    assert data is not None
    axes = plot_contour(data, METRIC, "maximize").axes[0]
    *filled, points = axes.collections
    assert bool(filled) == is_filled
    assert len(np.asarray(points.get_offsets())) == len(data.values)


def test_trials_with_the_same_choices_are_drawn_apart_and_near_their_choice() -> None:
    axis = parameter_axis(KIND, ["a", "b", "a", "a"])
    positions = spread(axis, 0.0)
    assert len(set(positions)) == 4
    assert np.abs(positions - np.array(axis.positions)).max() <= 0.25
