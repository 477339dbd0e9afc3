"""Cells side by side, and an image in one."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

Image = npt.NDArray[np.uint8]  # height, width, channels
Images = npt.NDArray[np.uint8]  # number, height, width, channels


def grid(count: int, title: str, cell: float) -> Figure:
    """A figure of empty square cells, at least one; those past `count` are left blank."""
    columns = max(1, min(count, int(np.ceil(np.sqrt(count)))))
    rows = max(1, -(-count // columns))
    figure = Figure(figsize=(max(columns * cell, 6.5), rows * (cell + 0.25) + 0.4), layout="constrained")
    figure.suptitle(title)
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set(xticks=[], yticks=[])
        axes.set_visible(index < count)
    return figure


def show(axes: Any, image: Image) -> None:
    """Draws an image: uint8, (height, width, channels), with one channel in grey."""
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255)


def blank_empty(cells: Any) -> None:
    """Takes the frame and ticks from cells with an image, and leaves the others blank."""
    for axes in cells.flat:
        axes.axis("off")
        axes.set_visible(bool(axes.images))
