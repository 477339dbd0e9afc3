"""Some images of each class, as the network gets them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Images

PER_CLASS, MOST_CLASSES = 8, 30


class ClassSamples(NamedTuple):
    """A class, how many images it has, and the places of the first ones."""

    name: str
    total: int
    places: list[int]


def samples_data(labels: npt.NDArray[np.unsignedinteger], class_names: Sequence[str]) -> list[ClassSamples]:
    """The first images of each class, at most `PER_CLASS`; of many classes the first `MOST_CLASSES`."""
    rows = []
    for label, name in enumerate(class_names[:MOST_CLASSES]):
        places = np.flatnonzero(labels == label)
        rows.append(ClassSamples(name, len(places), places[:PER_CLASS].tolist()))
    return rows


def plot_samples(rows: Sequence[ClassSamples], images: Images, of: str) -> Figure:
    """A row of images for each class, its name and number of images at the left."""
    names = max(0.7, 0.2 + 0.09 * max((len(row.name) for row in rows), default=0))  # inches
    board = Board(f"training images of {of}", PER_CLASS, [0] * len(rows), cell=0.95, left=names)
    for number, row in enumerate(rows):
        board.name(number, f"{row.name}\n{row.total:,}", fontsize=9)
        for column, place in enumerate(row.places):
            board.show(number, column, images[place])
    return board.figure
