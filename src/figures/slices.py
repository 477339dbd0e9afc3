"""The values of the trials against one parameter at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from src.figures.axes import ParameterAxis, add_trial_scale, label_parameter, parameter_axis
from src.figures.history import complete_trials
from src.results import Parameter, TrialRow

MAX_COLUMNS, WIDTH = 3, 3.0  # panels in a row; inches of each


class Slice(NamedTuple):
    """One parameter of the complete trials that have it.

    Attributes:
        axis: the parameter's, with a position for each trial.
        numbers: of the trials.
        values: of the trials.
    """

    axis: ParameterAxis
    numbers: list[int]
    values: list[float]


def slices_data(rows: Sequence[TrialRow], parameters: Sequence[Parameter]) -> list[Slice]:
    """Return a slice for each parameter that a complete trial has."""
    slices = []
    for parameter in parameters:
        found = [(row, value) for row, value in complete_trials(rows) if parameter.name in row.params]
        if found:
            axis = parameter_axis(parameter, [row.params[parameter.name] for row, _ in found])
            slices.append(Slice(axis, [row.number for row, _ in found], [value for _, value in found]))
    return slices


def plot_slices(slices: Sequence[Slice], metric: str) -> Figure:
    """Draw a panel for each parameter and in it a point for each trial, later ones darker."""
    columns = min(MAX_COLUMNS, len(slices))
    lines = -(-len(slices) // columns)
    width = WIDTH if columns > 1 else 5.0
    figure = Figure(figsize=(1.8 + width * columns, 1 + 3.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    colors = add_trial_scale(figure, panels, {number for panel in slices for number in panel.numbers})
    for axes, panel in zip(panels.flat, slices, strict=False):
        shades = colors.to_rgba(np.array(panel.numbers))
        axes.scatter(panel.axis.positions, panel.values, c=shades, s=28, edgecolors="0.4", linewidths=0.5)
        label_parameter(axes, panel.axis, width - 0.4)
        axes.grid(alpha=0.3)
    for axes in panels.flat[len(slices) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel(metric, parse_math=False)
    figure.suptitle("value of each complete trial by parameter", fontsize="large")
    return figure
