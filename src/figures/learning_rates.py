"""The loss of a range test over its learning rates."""

from matplotlib.figure import Figure

from src.figures.colors import BLUE, GRAY, RED
from src.learning_rates import RangeTest

HEADROOM = 1.15  # above the first losses: the last ones may be a thousand times as large


def loss_limits(found: RangeTest) -> tuple[float, float]:
    """Return the ends of the axis of losses: below the smallest, and a little above the first, not at the largest."""
    low, start = min(found.losses + found.smoothed), max(found.smoothed[: found.best + 1])
    return low - 0.05 * (start - low) - 1e-6, start * HEADROOM


def plot_range_test(found: RangeTest, title: str) -> Figure:
    """Draw the losses of the batches as points, their average as a line, and the suggested learning rate."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, ".", color=GRAY, markersize=4, label="loss of a batch")
    axes.plot(found.rates, found.smoothed, color=BLUE, label="average")
    if found.suggestion is not None:
        axes.axvline(found.suggestion, color=RED, linestyle="--", label=f"suggested: {found.suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=loss_limits(found))
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
