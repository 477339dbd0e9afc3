"""Some images of each class, as the network gets them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.grid import Images, show

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
    height, width, channels = images.shape[1:]
    gap = np.full((height, max(1, width // 10), channels), 255, np.uint8)
    for axes, row in zip(figure.subplots(len(rows), squeeze=False).flat, rows, strict=True):
        if row.places:  # one picture: as many axes as there are images take ten times as long to draw
            show(axes, np.concatenate([part for place in row.places for part in (images[place], gap)], axis=1))
        axes.set(xlim=(-0.5, PER_CLASS * (width + gap.shape[1]) - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
        axes.axis("off")
        label = f"{row.name}\n{row.total:,}"
        place = {"transform": axes.transAxes, "ha": "right", "va": "center"}
        axes.text(-0.02, 0.5, label, fontsize=9, parse_math=False, **place)
    return figure
