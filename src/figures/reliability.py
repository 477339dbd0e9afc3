"""Reliability diagrams: how sure a model is, and how often it is right."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from src.certainty import Reliability
from src.figures.colors import BLUE, GRAY, GREEN, RED


def plot_reliability(trained: Reliability, calibrated: Reliability | None, temperature: float | None) -> Figure:
    """Draw the share of right predictions over their confidence, and how many predictions have it.

    Args:
        trained: of the model as it was trained.
        calibrated: of the model with the temperature, drawn next to it; None without one.
        temperature: fitted on the validation split.
    """
    panels = [("as trained", trained)]
    if calibrated is not None:
        panels.append((f"with temperature {temperature:.2f}", calibrated))
    figure = Figure(figsize=(4.6 * len(panels), 5.6), layout="constrained")
    rows = figure.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1))
    for (name, reliability), upper, lower in zip(panels, *rows, strict=True):
        _draw_shares(upper, reliability)
        upper.set_title(f"{name}: calibration error {reliability.error:.4f}", fontsize=10)
        _draw_counts(lower, reliability)
    rows[0, 0].set_ylabel("share of right predictions")
    rows[1, 0].set_ylabel("images")
    rows[1, 0].set_ylim(0.5, 2 * max(reliability.images.max() for _, reliability in panels))
    figure.legend(
        *rows[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2 * len(panels), frameon=False
    )
    return figure


def _draw_shares(axes: Any, reliability: Reliability) -> None:
    bins = len(reliability.images)
    centers, width = (np.arange(bins) + 0.5) / bins, 1 / bins
    filled = reliability.images > 0
    accuracy, confidence = reliability.accuracy[filled], reliability.confidence[filled]
    lower, gap = np.minimum(accuracy, confidence), confidence - accuracy
    axes.bar(centers[filled], lower, 0.92 * width, color=BLUE, label="right")
    for color, size, label in ((RED, gap, "too sure"), (GREEN, -gap, "right, but not sure enough")):
        axes.bar(centers[filled], np.maximum(size, 0), 0.92 * width, bottom=lower, color=color, alpha=0.5, label=label)
    axes.plot([0, 1], [0, 1], "--", color=GRAY, label="calibrated")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def _draw_counts(axes: Any, reliability: Reliability) -> None:
    bins = len(reliability.images)
    axes.bar((np.arange(bins) + 0.5) / bins, reliability.images, 0.92 / bins, color=GRAY)
    axes.set_yscale("log")  # most predictions of a good model are in the last bin
    axes.set_xlabel("confidence: probability of the predicted class")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
