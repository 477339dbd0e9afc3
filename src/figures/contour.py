"""The two most important parameters of a sweep together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from src.figures.axes import (
    ParameterAxis,
    add_value_scale,
    label_parameter,
    label_parameter_vertically,
    parameter_axis,
)
from src.figures.history import complete_trials
from src.results import Parameter, TrialRow

LEVELS = 12


class Contour(NamedTuple):
    """The complete trials that have two parameters.

    Attributes:
        x, y: the axes of the parameters, with a position for each trial.
        numbers: of the trials.
        values: of the trials.
    """

    x: ParameterAxis
    y: ParameterAxis
    numbers: list[int]
    values: list[float]


def contour_data(rows: Sequence[TrialRow], parameters: Sequence[Parameter]) -> Contour | None:
    """Return the trials by the first two parameters, None when no trial has both."""
    if len(parameters) < 2:
        return None
    first, second = parameters[:2]
    found = [(row, value) for row, value in complete_trials(rows) if {first.name, second.name} <= row.params.keys()]
    if not found:
        return None
    x, y = (
        parameter_axis(parameter, [row.params[parameter.name] for row, _ in found]) for parameter in (first, second)
    )
    return Contour(x, y, [row.number for row, _ in found], [value for _, value in found])


def plot_contour(data: Contour, metric: str, direction: str) -> Figure:
    """Draw a point for each trial, better ones darker, and interpolated values if both parameters are numbers.

    There is nothing between two choices. So only the points are drawn, spread so that none hides another.
    """
    figure = Figure(figsize=(8.5, 6), layout="constrained")
    axes = figure.subplots()
    colors = add_value_scale(figure, axes, data.values, metric, direction)
    style: dict[str, Any] = {"cmap": colors.cmap, "norm": colors.norm}
    x, y = spread(data.x, 0.0), spread(data.y, 0.5)
    triangles = None if data.x.is_choice or data.y.is_choice else _triangles(x, y)
    if triangles is not None and min(data.values) < max(data.values):
        axes.tricontourf(x, y, triangles, data.values, levels=LEVELS, **style)
    axes.scatter(x, y, c=data.values, s=36, edgecolors="black", linewidths=0.7, zorder=3, **style)
    label_parameter(axes, data.x, 6.0)
    label_parameter_vertically(axes, data.y, 5.0)
    axes.set_title(f"{metric} by the two most important parameters", parse_math=False)
    axes.grid(alpha=0.3)
    return figure


def spread(axis: ParameterAxis, turn: float) -> npt.NDArray[np.float64]:
    """Return the positions, on an axis of choices spread evenly around each by the golden ratio; `turn` is 0-1."""
    positions = np.array(axis.positions)
    if not axis.is_choice:
        return positions
    return positions + 0.5 * ((turn + np.arange(len(positions)) * (0.618 + 0.137 * turn)) % 1) - 0.25


def _triangles(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.int32] | None:
    """Return triangles between the points, each axis scaled to its range; None when the points are on one line."""
    if len(x) < 3 or not np.ptp(x) or not np.ptp(y):
        return None
    try:
        return Triangulation((x - x.min()) / np.ptp(x), (y - y.min()) / np.ptp(y)).triangles
    except (RuntimeError, ValueError):
        return None
