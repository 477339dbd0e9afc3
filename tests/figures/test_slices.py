"""Slices: a panel for each parameter."""

import numpy as np

from src.figures.axes import parameter_axis
from src.figures.slices import Slice, plot_slices, slices_data
from src.results import Parameter
from tests.support.figures import visible
from tests.support.trials import METRIC, SPACES, row, rows_of

X, Y = Parameter("x"), Parameter("y")
ROWS = [
    row(0, 0.5, params={"x": 1, "y": 2}),
    row(1, 0.6, params={"x": 3}),
    row(2, 0.7, "PRUNED", params={"x": 4, "y": 5}),
]


def test_a_slice_has_the_complete_trials_that_have_its_parameter() -> None:
    assert slices_data(ROWS, [X, Y, Parameter("z")]) == [
        Slice(parameter_axis(X, [1, 3]), [0, 1], [0.5, 0.6]),
        Slice(parameter_axis(Y, [2]), [0], [0.5]),
    ]


def test_six_parameters_are_in_two_rows_with_their_names_and_the_points_of_the_trials() -> None:
    rows = rows_of(SPACES["six parameters"], 20)
    slices = slices_data(rows, SPACES["six parameters"])
    panels = visible(plot_slices(slices, METRIC))[:-1]  # the last one is the scale
    names = [panel.get_xlabel().replace("\n", "") for panel in panels]
    assert names == [parameter.name for parameter in SPACES["six parameters"]]
    assert len({round(panel.get_position().y0, 2) for panel in panels}) == 2
    for panel, expected in zip(panels, slices, strict=True):
        points = np.asarray(panel.collections[0].get_offsets()).tolist()
        assert points == [list(point) for point in zip(expected.axis.positions, expected.values, strict=True)]
