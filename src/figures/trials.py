"""The metric of each trial of a sweep, for each epoch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from src.figures.axes import add_trial_scale, count_axis, line_opacity
from src.figures.colors import BLUE, GRAY, ORANGE, RED
from src.results import TrialRow

OUTCOMES = {  # how a trial ended -> its label and color
    "COMPLETE": ("complete", BLUE),
    "PRUNED": ("pruned", GRAY),
    "FAIL": ("failed", RED),
    "INTERRUPTED": ("interrupted", ORANGE),
}


class TrialCurve(NamedTuple):
    """The metric of one trial for each epoch, and the state of the trial."""

    number: int
    outcome: str
    epochs: list[int]
    values: list[float]


def trial_curves_data(rows: Sequence[TrialRow]) -> list[TrialCurve]:
    """Return a curve for each trial that reported something, in the order of the trials."""
    return [
        TrialCurve(row.number, row.outcome, epochs, [row.reported[epoch] for epoch in epochs])
        for row in rows
        if (epochs := sorted(row.reported))
    ]


def plot_trial_curves(curves: Sequence[TrialCurve], metric: str) -> Figure:
    """Draw a line for each trial. Complete ones are darker the later they are, others are gray and end with a cross."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    numbers = [curve.number for curve in curves]
    shades = add_trial_scale(figure, axes, numbers).to_rgba(np.array(numbers))
    for curve, shade in zip(curves, shades, strict=True):
        is_complete = curve.outcome == "COMPLETE"
        color = shade if is_complete else GRAY
        style: dict[str, Any] = {"linewidth": 1.2, "marker": ".", "markersize": 5, "zorder": 2.5 if is_complete else 2}
        axes.plot(curve.epochs, curve.values, color=color, alpha=line_opacity(len(curves)), **style)
    for outcome, (label, color) in OUTCOMES.items():
        ends = [(curve.epochs[-1], curve.values[-1]) for curve in curves if curve.outcome == outcome]
        if ends and outcome != "COMPLETE":
            cross = "black" if outcome == "PRUNED" else color
            axes.plot(*zip(*ends, strict=True), "x", color=cross, markersize=7, zorder=3, label=label)
    axes.set(title="value of each trial after each epoch", xlabel="epoch")
    axes.set_ylabel(metric, parse_math=False)
    axes.set_xlim(0.5, max(curve.epochs[-1] for curve in curves) + 0.5)
    count_axis(axes.xaxis)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
