"""Some images of each class, as the network gets them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.grid import Images, blank_empty, show

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
    figure = Figure(figsize=(PER_CLASS + 2.0, 1.05 * len(rows) + 0.7), layout="constrained")
    figure.suptitle(f"training images of {of}", parse_math=False)
    cells = figure.subplots(len(rows), PER_CLASS, squeeze=False)
    for row, sample in zip(cells, rows, strict=True):
        for axes, place in zip(row, sample.places, strict=False):
            show(axes, images[place])
    blank_empty(cells)
    for row, sample in zip(cells, rows, strict=True):
        row[0].set_visible(True)
        row[0].text(
            -0.15,
            0.5,
            f"{sample.name}\n{sample.total:,}",
            transform=row[0].transAxes,
            ha="right",
            va="center",
            fontsize=9,
            parse_math=False,
        )
    return figure
