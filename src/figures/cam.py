"""Grad-CAM: where a network looks, laid over the image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from src.figures.grid import Image, Images, blank_empty, show
from src.figures.predictions import Prediction, label

HEAT = "plasma"
Heats = npt.NDArray[np.floating]


def plot_grad_cam(right: Sequence[Prediction], wrong: Sequence[Prediction], images: Images, heats: Heats) -> Figure:
    """Right predictions above, wrong ones below, each as the image and as what spoke for the predicted class.

    Args:
        right, wrong: the predictions.
        images: uint8, (n, height, width, channels), of the split that the predictions count in.
        heats: (right and wrong, height, width), 0-1, in the order of the predictions, right ones first.
    """
    groups = [group for group in (right, wrong) if group]
    columns = max([len(group) for group in groups], default=1)
    figure = Figure(figsize=(max(1.9 * columns, 5) + 1, 4.3 * max(len(groups), 1) + 0.6), layout="constrained")
    figure.suptitle("Grad-CAM: what spoke for the predicted class")
    cells = figure.subplots(2 * max(len(groups), 1), columns, squeeze=False)
    remaining = iter(heats)
    for row, group in enumerate(groups):
        for column, prediction in enumerate(group):
            image = images[prediction.image]
            show(cells[2 * row, column], image)
            label(cells[2 * row, column], prediction)
            _lay_over(cells[2 * row + 1, column], image, next(remaining))
    blank_empty(cells)
    _add_scale(figure, cells)
    return figure


def plot_class_heats(image: Image, answers: Sequence[tuple[str, float]], heats: Heats, what: str) -> Figure:
    """One image, then what in it speaks for each class.

    Args:
        image: uint8, (height, width, channels).
        answers: the name and the probability of each class.
        heats: (classes, height, width), 0-1.
        what: the image's name.
    """
    figure = Figure(figsize=(2.2 * (len(answers) + 1) + 1, 2.9), layout="constrained")
    figure.suptitle(f"Grad-CAM of {what}: what speaks for each class", parse_math=False)
    cells = figure.subplots(1, len(answers) + 1)
    show(cells[0], image)
    for axes, (name, score), heat in zip(cells[1:], answers, heats, strict=True):
        _lay_over(axes, image, heat)
        axes.set_title(f"{name} ({score:.2f})", fontsize=9, parse_math=False)
    blank_empty(cells)
    _add_scale(figure, cells)
    return figure


def _lay_over(axes: Any, image: Image, heat: npt.NDArray[np.floating]) -> None:
    """The image in grey, and the heat on it, the thicker the hotter."""
    axes.imshow(image.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
    axes.imshow(heat, cmap=HEAT, vmin=0, vmax=1, alpha=0.25 + 0.5 * heat)


def _add_scale(figure: Figure, cells: Any) -> None:
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), HEAT), ax=cells, shrink=0.8, aspect=30)
    bar.set_label("heat, as a share of the largest", fontsize=8)
