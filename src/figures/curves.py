"""Learning curves: loss and accuracy for each epoch."""

from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.axes import count_axis
from src.figures.colors import BLUE, GREEN


class LearningCurves(NamedTuple):
    """The curves of a training.

    Attributes:
        epochs: counted from 1.
        loss, accuracy: the curves of each panel, by the name of the metric.
        best_epoch: the epoch whose weights were kept, None if nothing selected one.
        phases: the name and the first epoch of each phase.
    """

    epochs: list[int]
    loss: dict[str, list[float]]
    accuracy: dict[str, list[float]]
    best_epoch: int | None
    phases: tuple[tuple[str, int], ...] = ()


def learning_curves_data(
    history: Mapping[str, list[float]], best_epoch: int | None, phases: tuple[tuple[str, int], ...] = ()
) -> LearningCurves:
    """Return the loss and accuracy curves of a history, for training and validation."""
    loss, accuracy = (
        {name: history[name] for name in (metric, f"val_{metric}") if name in history}
        for metric in ("loss", "accuracy")
    )
    return LearningCurves(list(range(1, len(history["loss"]) + 1)), loss, accuracy, best_epoch, phases)


def plot_learning_curves(data: LearningCurves) -> Figure:
    """Draw loss and accuracy side by side: training dashed, the best epoch as a line, later phases on another ground.

    The legends are below the panels, where they hide no line.
    """
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = (("loss", data.loss, BLUE), ("accuracy", data.accuracy, GREEN))
    for axes, (title, curves, color) in zip(figure.subplots(1, 2), panels, strict=True):
        for name, values in curves.items():
            style = "-" if name.startswith("val_") else "--"
            axes.plot(data.epochs, values, style, color=color, label=name, marker=".")
        if data.best_epoch is not None:
            axes.axvline(data.best_epoch, color="gray", linewidth=1, zorder=1, label=f"best epoch ({data.best_epoch})")
        for name, first in data.phases[1:]:
            axes.axvspan(first - 0.5, data.epochs[-1] + 0.5, color="tab:orange", alpha=0.12, label=name)
        axes.set(title=title, xlabel="epoch", xlim=(0.5, data.epochs[-1] + 0.5))
        count_axis(axes.xaxis)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    return figure
