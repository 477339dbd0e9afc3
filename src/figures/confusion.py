"""The confusion matrix of a classifier."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

Labels = npt.NDArray[np.integer]
MAX_CELLS = 30  # classes whose counts are drawn; more classes share the space of this many


class Confusion(NamedTuple):
    """`counts[i, j]` is the number of images of class i that were predicted as class j."""

    counts: npt.NDArray[np.int64]
    class_names: list[str]


def confusion_data(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> Confusion:
    """Count the images for every pair of true and predicted class, also for classes without images."""
    count = len(class_names)
    pairs = np.bincount(labels.astype(np.int64) * count + predicted, minlength=count * count)
    return Confusion(pairs.reshape(count, count), list(class_names))


def plot_confusion(data: Confusion) -> Figure:
    """Draw true classes in rows and predicted ones in columns.

    The shade is the share of the row, so that rare classes are visible.
    """
    count = len(data.class_names)
    side = max(5.0, 0.6 * min(count, MAX_CELLS) + 1.5)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    shares = data.counts / np.maximum(data.counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= MAX_CELLS:
        for (row, column), number in np.ndenumerate(data.counts):
            if number:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(number), ha="center", va="center", color=color, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", title="confusion matrix")
    rotation = 90 if max(map(len, data.class_names)) > 2 else 0
    step = math.ceil(count / (2 * MAX_CELLS))  # names have to be legible
    axes.set_xticks(range(0, count, step), data.class_names[::step], rotation=rotation, parse_math=False)
    axes.set_yticks(range(0, count, step), data.class_names[::step], parse_math=False)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure
