"""A map of images, where those that a network finds similar are close to each other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from src.figures.axes import shorten
from src.results import printable

# Colors that colorblind people can distinguish: the scheme "muted" of Paul Tol, and a dark gray.
COLORS = ("#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#44AA99", "#882255", "#999933", "#AA4499", "#555555")
MARKERS = "os^Dv*P"
MAX_LABELS = 50  # classes; the names of more would hide the points
MAX_NAME = 24  # characters


class MapPoint(NamedTuple):
    """An image on the map: its place, and the labels of its true and its predicted class."""

    x: float
    y: float
    label: int
    predicted: int

    @property
    def is_mistake(self) -> bool:
        """True if the prediction is wrong."""
        return self.label != self.predicted


def class_looks(count: int) -> list[tuple[str, str]]:
    """Return a color and a marker of Matplotlib for each of this many classes; up to 70 classes differ."""
    return [(COLORS[label % len(COLORS)], MARKERS[label % len(MARKERS)]) for label in range(count)]


def plot_embedding(points: Sequence[MapPoint], class_names: Sequence[str]) -> Figure:
    """Draw a map of images in the colors of their true classes, with a ring around each wrong prediction.

    The name of a class is at the median of its images.

    Args:
        points: at least one.
        class_names: one for each label.
    """
    figure = Figure(figsize=(7.5, 6.3), layout="constrained")
    axes = figure.subplots()
    looks = class_looks(len(class_names))
    labels = np.array([point.label for point in points])
    places = np.array([point[:2] for point in points])
    size = float(np.clip(20_000 / len(points), 13, 40))  # square points: few markers may be larger, and rings too
    for label in np.unique(labels):
        color, marker = looks[label]
        x, y = places[labels == label].T
        axes.scatter(x, y, s=size, color=color, marker=marker, linewidth=0, alpha=0.75)
    wrong = places[[point.is_mistake for point in points]]
    ring_size, line = np.clip(6_000 / max(len(wrong), 1), 26, 62), np.clip(90 / max(len(wrong), 1), 0.5, 0.9)
    axes.scatter(wrong[:, 0], wrong[:, 1], s=ring_size, facecolor="none", edgecolor="black", linewidth=line)
    halo = [withStroke(linewidth=3.5, foreground="white")]
    for label in np.unique(labels)[:MAX_LABELS]:
        name = shorten(printable(class_names[label]), MAX_NAME)
        x, y = np.median(places[labels == label], axis=0)
        style: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold", "fontsize": 11, "path_effects": halo}
        axes.text(x, y, name, parse_math=False, **style)
    ring = Line2D([], [], linestyle="", marker="o", markersize=8, markerfacecolor="none", markeredgecolor="black")
    figure.legend([ring], [f"wrong prediction ({len(wrong):,})"], loc="outside lower center", frameon=False)
    axes.set_title(
        f"{len(points):,} test images by the features that the classifier gets (t-SNE)\n"
        "color, marker and name: true class",
        fontsize=11,
    )
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", "datalim")
    return figure
