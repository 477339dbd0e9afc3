"""Loss and accuracy, epoch by epoch."""

from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.colours import BLUE, GREEN


class LearningCurves(NamedTuple):
    """Epochs counted from 1, the curves of each panel by metric name; `best_epoch` is None where nothing chose it."""

    epochs: list[int]
    loss: dict[str, list[float]]
    accuracy: dict[str, list[float]]
    best_epoch: int | None
    phases: tuple[tuple[str, int], ...] = ()


def learning_curves_data(
    history: Mapping[str, list[float]], best_epoch: int | None, phases: tuple[tuple[str, int], ...] = ()
) -> LearningCurves:
    """The loss and accuracy curves of a history, training beside validation, and the first epoch of each phase."""
    loss, accuracy = (
        {name: history[name] for name in (metric, f"val_{metric}") if name in history}
        for metric in ("loss", "accuracy")
    )
    return LearningCurves(list(range(1, len(history["loss"]) + 1)), loss, accuracy, best_epoch, phases)


def plot_learning_curves(data: LearningCurves) -> Figure:
    """Loss and accuracy side by side, training dashed, the best epoch marked, another ground for each later phase."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = (("loss", data.loss, BLUE), ("accuracy", data.accuracy, GREEN))
    for axes, (title, curves, colour) in zip(figure.subplots(1, 2), panels, strict=True):
        for name, values in curves.items():
            style = "-" if name.startswith("val_") else "--"
            axes.plot(data.epochs, values, style, color=colour, label=name, marker=".")
        if data.best_epoch is not None:
            axes.axvline(data.best_epoch, color="grey", linewidth=1, label=f"best epoch ({data.best_epoch})")
        for name, first in data.phases[1:]:
            axes.axvspan(first - 0.5, data.epochs[-1] + 0.5, color="tab:orange", alpha=0.12, label=name)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
