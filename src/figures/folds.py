"""The folds of a cross-validation: the metric of each, and the mean with its interval."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from src.figures.axes import thin
from src.figures.colors import BLUE, GRAY, GREEN
from src.results import FoldRow, FoldSummary, format_metric
from src.schema import METRICS, TEST, VALIDATION

OFFSET = 0.1  # of the two splits from the middle, so that equal values do not cover each other
MAX_TICKS = 16


def plot_folds(rows: Sequence[FoldRow], summaries: Mapping[str, FoldSummary], metric: str) -> Figure:
    """Draw a point for each fold, and on the right the mean with its 95 % interval; the test split in another color.

    Args:
        rows: one for each fold.
        summaries: of the metrics; the test split is drawn if it has the metric.
        metric: the name without a prefix.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    width = max(1.0, len(rows) / 10)  # of the part for the mean, in folds
    last = len(rows) + width  # the place of the mean
    splits = {"validation": (VALIDATION + metric, BLUE), "test": (TEST + metric, GREEN)}
    shown = {split: drawing for split, drawing in splits.items() if drawing[0] in summaries}
    offsets = (-OFFSET, OFFSET) if len(shown) > 1 else (0.0,)
    for (split, (name, color)), offset in zip(shown.items(), offsets, strict=True):
        mean, _, low, high = summaries[name]
        label = f"{split}: mean {format_metric(mean)}, 95 % interval {format_metric(low)} to {format_metric(high)}"
        axes.plot([row.fold + offset for row in rows], [row.metrics[name] for row in rows], "o", color=color)
        reach = [[mean - low], [high - mean]]
        axes.errorbar([last + offset * width], [mean], yerr=reach, fmt="D", color=color, capsize=5, label=label)
        axes.axhline(mean, color=color, alpha=0.4, linewidth=1)
    axes.axvline(last - width / 2, color=GRAY, linewidth=1)
    folds = thin([row.fold for row in rows], MAX_TICKS)
    axes.set_xticks([*folds, last], [*map(str, folds), "mean"])
    axes.set(xlabel="fold", ylabel=METRICS[metric].label, xlim=(0.5, last + width / 2))
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper left", frameon=False)
    return figure
