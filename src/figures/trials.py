"""The metric of each trial of a sweep, for each epoch."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.figures.colors import RED
from src.results import TrialRow


class TrialCurve(NamedTuple):
    """The metric of one trial for each epoch, and the state of the trial."""

    number: int
    state: str
    epochs: list[int]
    values: list[float]


def trial_curves_data(rows: Sequence[TrialRow]) -> list[TrialCurve]:
    """Return a curve for each trial that reported something, in the order of the trials."""
    return [
        TrialCurve(row.number, row.state, sorted(row.reported), [row.reported[epoch] for epoch in sorted(row.reported)])
        for row in rows
        if row.reported
    ]


def plot_trial_curves(curves: Sequence[TrialCurve], metric: str) -> Figure:
    """Draw a line for each trial, later ones darker; pruned ones are gray and end with a cross, failed ones in red."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    shades = colormaps["viridis_r"]
    for index, curve in enumerate(curves):
        shade = shades(0.15 + 0.85 * index / max(len(curves) - 1, 1))
        color = shade if curve.state == "COMPLETE" else "gray"
        axes.plot(curve.epochs, curve.values, color=color, alpha=0.8, linewidth=1.2, marker=".", markersize=3)
        if curve.state in ("PRUNED", "FAIL"):
            end = "black" if curve.state == "PRUNED" else RED
            axes.plot(curve.epochs[-1], curve.values[-1], marker="x", color=end, markersize=7)
    for label, marker, color in (
        ("complete", "", shades(0.8)),
        ("pruned", "x", "black"),
        ("failed", "x", RED),
    ):
        axes.plot([], [], marker=marker, color=color, linestyle="" if marker else "-", label=label)
    axes.set(title="intermediate values of the trials", xlabel="epoch", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
