"""Parallel coordinates: trials as lines through the axes of their parameters."""

import pytest

from src.figures.axes import parameter_axis
from src.figures.parallel import ParallelCoordinates, axis_heights, parallel_data, plot_parallel
from src.results import Parameter
from tests.support.figures import visible
from tests.support.trials import METRIC, row

X, Y = Parameter("x"), Parameter("y", choices=("a", "b"))
ROWS = [
    row(0, 0.5, params={"x": 1, "y": "a"}),
    row(1, 0.6, params={"x": 3}),
    row(2, 0.7, params={"x": 4, "y": "b"}),
    row(3, 0.9, "FAIL", params={"x": 4, "y": "b"}),
]


def test_a_line_needs_every_parameter() -> None:
    expected = [
        parameter_axis(Parameter(METRIC), [0.5, 0.7]),
        parameter_axis(X, [1, 4]),
        parameter_axis(Y, ["a", "b"]),
    ]
    assert parallel_data(ROWS, [X, Y], METRIC) == ParallelCoordinates(expected, [0, 2], [0.5, 0.7])
    assert parallel_data(ROWS, [Parameter("z")], METRIC) is None
    assert parallel_data(ROWS, [], METRIC) is None


@pytest.mark.parametrize(("values", "heights"), [([1, 4, 2.5], [0, 1, 0.5]), ([3, 3], [0.5, 0.5])])
def test_an_axis_reaches_from_its_least_to_its_greatest_value(values: list[float], heights: list[float]) -> None:
    axis = parameter_axis(X, values)
    assert axis_heights(axis, axis.positions) == heights


@pytest.mark.parametrize(("direction", "last"), [("maximize", 1.0), ("minimize", 0.0)])
def test_better_trials_are_in_front_and_darker(direction: str, last: float) -> None:
    data = parallel_data(ROWS, [X, Y], METRIC)
    assert data is not None
    lines = visible(plot_parallel(data, METRIC, direction))[0].collections[0]
    assert lines.get_segments()[-1][0][1] == last  # on the axis of the metric
    brightness = [sum(color[:3]) for color in lines.get_colors()]
    assert brightness[-1] == min(brightness)


def test_a_tick_is_left_of_its_axis_where_it_does_not_look_like_a_minus_sign() -> None:
    data = parallel_data(ROWS, [X, Y], METRIC)
    assert data is not None
    drawn = visible(plot_parallel(data, METRIC, "maximize"))[0].lines
    ticks = [line.get_xdata() for line in drawn if line.get_xdata()[0] != line.get_xdata()[1]]
    assert len(ticks) == sum(len(axis.ticks) for axis in data.axes)
    assert all(right == round(right) and right > left for left, right in ticks)
