"""Learning curves: a panel for each metric, with its value in each epoch."""

import math
from collections.abc import Mapping
from itertools import cycle
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.axes import count_axis
from src.figures.colors import BLUE, GREEN, ORANGE, RED
from src.schema import METRICS, VALIDATION

MAX_COLUMNS = 4  # of panels
COLORS = (BLUE, GREEN, RED, ORANGE)  # of the panels


class LearningCurves(NamedTuple):
    """The curves of a training.

    Attributes:
        epochs: counted from 1.
        panels: the curves of each panel by their names; the panels by the metric, without a prefix.
        best_epoch: the epoch whose weights were kept, None if nothing selected one.
        phases: the name and the first epoch of each phase.
    """

    epochs: list[int]
    panels: dict[str, dict[str, list[float]]]
    best_epoch: int | None
    phases: tuple[tuple[str, int], ...] = ()


def learning_curves_data(
    history: Mapping[str, list[float]], best_epoch: int | None, phases: tuple[tuple[str, int], ...] = ()
) -> LearningCurves:
    """Return the curves of each metric that a history has, for training and validation."""
    panels = {
        metric: {name: history[name] for name in (metric, VALIDATION + metric) if name in history}
        for metric in METRICS
        if metric in history or VALIDATION + metric in history
    }
    return LearningCurves(list(range(1, len(history["loss"]) + 1)), panels, best_epoch, phases)


def plot_learning_curves(data: LearningCurves) -> Figure:
    """Draw a panel for each metric: training dashed, the best epoch as a line, later phases shaded.

    The legends are below the panels, where they hide no line.
    """
    columns = min(len(data.panels), MAX_COLUMNS)
    rows = math.ceil(len(data.panels) / columns)
    figure = Figure(figsize=(5 * columns, 4.5 * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in places[len(data.panels) :]:
        unused.remove()
    for axes, (metric, curves), color in zip(places, data.panels.items(), cycle(COLORS), strict=False):
        for name, values in curves.items():
            style = "--" if name == metric else "-"
            axes.plot(data.epochs, values, style, color=color, label=name, marker=".")
        if data.best_epoch is not None:
            axes.axvline(data.best_epoch, color="gray", linewidth=1, zorder=1, label=f"best epoch ({data.best_epoch})")
        for name, first in data.phases[1:]:
            axes.axvspan(first - 0.5, data.epochs[-1] + 0.5, color="tab:orange", alpha=0.12, label=name)
        axes.set(title=METRICS[metric].label, xlabel="epoch", xlim=(0.5, data.epochs[-1] + 0.5))
        count_axis(axes.xaxis)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    return figure
