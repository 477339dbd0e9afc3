"""Complete trials as lines through their parameters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from src.figures.axes import (
    CHARACTER,
    LINE,
    SMALL,
    ParameterAxis,
    add_value_scale,
    line_opacity,
    parameter_axis,
    shorten,
    thin,
    wrap_name,
)
from src.figures.history import complete_trials
from src.results import Parameter, TrialRow
from src.schema import sign_of

HEIGHT, STEP = 4.5, 1.7  # inches of the axes, and from one to the next


class ParallelCoordinates(NamedTuple):
    """The trials that have every parameter.

    Attributes:
        axes: the metric's, then one for each parameter, with a position for each trial.
        numbers: of the trials.
        values: of the trials.
    """

    axes: list[ParameterAxis]
    numbers: list[int]
    values: list[float]


def parallel_data(rows: Sequence[TrialRow], parameters: Sequence[Parameter], metric: str) -> ParallelCoordinates | None:
    """Return an axis for the metric and one for each parameter, None when there is no such trial or parameter."""
    names = {parameter.name for parameter in parameters}
    found = [(row, value) for row, value in complete_trials(rows) if names <= row.params.keys()]
    values = [value for _, value in found]
    if not found or not parameters:
        return None
    axes = [parameter_axis(Parameter(metric), values)]
    axes += [parameter_axis(parameter, [row.params[parameter.name] for row, _ in found]) for parameter in parameters]
    return ParallelCoordinates(axes, [row.number for row, _ in found], values)


def plot_parallel(data: ParallelCoordinates, metric: str, direction: str) -> Figure:
    """Draw an axis for each parameter and a line for each trial, better ones darker and in front."""
    figure = Figure(figsize=(max(7.0, STEP * len(data.axes) + 1.5), HEIGHT + 1.2), layout="constrained")
    axes = figure.subplots()
    colors = add_value_scale(figure, axes, data.values, metric, direction)
    order = np.argsort(data.values)[:: sign_of(direction)]
    heights = np.array([axis_heights(axis, axis.positions) for axis in data.axes])
    lines = [list(enumerate(heights[:, trial])) for trial in order]
    shades = colors.to_rgba(np.array(data.values)[order])
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=1.2, alpha=line_opacity(len(lines))))
    room = int(STEP / CHARACTER) - 2
    for place, axis in enumerate(data.axes):
        axes.axvline(place, color="0.3", linewidth=1)
        ticks, labels = thin(axis_heights(axis, axis.ticks), HEIGHT / LINE), thin(axis.labels, HEIGHT / LINE)
        for tick, label in zip(ticks, labels, strict=True):
            _label_tick(axes, place, tick, shorten(label, room))
    names = [wrap_name(axis.name, int(STEP / CHARACTER / 1.2)) for axis in data.axes]
    axes.set_xticks(range(len(names)), names, fontsize=SMALL + 1, parse_math=False)
    axes.set(xlim=(-0.4, len(names) - 0.15), ylim=(-0.04, 1.04), yticks=[])
    axes.set_title("parameters of each trial, better trials darker")
    axes.spines[:].set_visible(False)
    return figure


def axis_heights(axis: ParameterAxis, positions: Sequence[float]) -> list[float]:
    """Return positions on an axis as heights: 0 for its least value, 1 for its greatest, 0.5 for its only one."""
    low, high = min(axis.positions), max(axis.positions)
    return [(position - low) / (high - low) if high > low else 0.5 for position in positions]


def _label_tick(axes: Any, place: int, height: float, label: str) -> None:
    box = {"facecolor": "white", "alpha": 0.9, "edgecolor": "none", "pad": 0.5}
    # The tick is left of the axis: between the axis and a number it would look like a minus sign.
    axes.plot([place - 0.03, place], [height, height], color="0.3", linewidth=1)
    axes.text(place + 0.02, height, label, va="center", fontsize=SMALL, bbox=box, zorder=3, parse_math=False)
