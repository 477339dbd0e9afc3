"""Some images of each class, as the network gets them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Images

MAX_IMAGES, MAX_CLASSES = 8, 30  # images of each class


class ClassSamples(NamedTuple):
    """The name of a class, the number of its images, and the indices of the first ones."""

    name: str
    total: int
    indices: list[int]


def samples_data(labels: npt.NDArray[np.unsignedinteger], class_names: Sequence[str]) -> list[ClassSamples]:
    """Return the first images of each of the first classes, up to `MAX_IMAGES` and `MAX_CLASSES`."""
    rows = []
    for label, name in enumerate(class_names[:MAX_CLASSES]):
        indices = np.flatnonzero(labels == label)
        rows.append(ClassSamples(name, len(indices), indices[:MAX_IMAGES].tolist()))
    return rows


def plot_samples(rows: Sequence[ClassSamples], images: Images, dataset_name: str) -> Figure:
    """Draw a row of images for each class, with its name and number of images at the left."""
    name_width = max(0.7, 0.2 + 0.09 * max((len(row.name) for row in rows), default=0))  # inches
    board = Board(f"training images of {dataset_name}", MAX_IMAGES, [0] * len(rows), cell=0.95, left=name_width)
    for number, row in enumerate(rows):
        board.name_row(number, f"{row.name}\n{row.total:,}", fontsize=9)
        for column, index in enumerate(row.indices):
            board.show(number, column, images[index])
    return board.figure
