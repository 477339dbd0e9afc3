"""Which classes are taken for which."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

Labels = npt.NDArray[np.integer]
MOST_CELLS = 30  # that are drawn with their numbers; more classes share the room of so many


class Confusion(NamedTuple):
    """`counts[i, j]`: images of class i that were taken for class j."""

    counts: npt.NDArray[np.int64]
    class_names: list[str]


def confusion_data(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> Confusion:
    """Counts for every pair of classes, classes without an image included."""
    return Confusion(confusion_matrix(labels, predicted, labels=range(len(class_names))), list(class_names))


def plot_confusion(data: Confusion) -> Figure:
    """True classes in rows, predicted ones in columns; the shade is the share of the row, so that rare classes show."""
    count = len(data.class_names)
    side = max(5.0, 0.6 * min(count, MOST_CELLS) + 1.5)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    shares = data.counts / np.maximum(data.counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= MOST_CELLS:
        for (row, column), number in np.ndenumerate(data.counts):
            if number:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(number), ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", title="confusion matrix")
    rotation = 90 if max(map(len, data.class_names)) > 2 else 0
    step = math.ceil(count / (2 * MOST_CELLS))  # names have to be legible
    axes.set_xticks(range(0, count, step), data.class_names[::step], rotation=rotation, parse_math=False)
    axes.set_yticks(range(0, count, step), data.class_names[::step], parse_math=False)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure
