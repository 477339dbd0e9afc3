"""Feature maps: what each convolution makes of an image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Image

Maps = npt.NDArray[np.floating]
CHANNELS = 8  # of each convolution
ROWS = 12  # on a page: one picture of a deep network would be too tall to be read


class MapRow(NamedTuple):
    """The liveliest maps of a convolution, liveliest first.

    Attributes:
        layer: the convolution's name.
        shape: height, width and number of all its maps.
        channels: which of them are shown.
        maps: (shown, height, width).
    """

    layer: str
    shape: tuple[int, ...]
    channels: list[int]
    maps: Maps


def feature_maps_data(layers: Sequence[tuple[str, Maps]], rows: int = ROWS) -> list[list[MapRow]]:
    """Pages of rows, a row for each convolution: of its maps, those that vary most over the image.

    Args:
        layers: the name and the maps, (height, width, channels), of each convolution.
        rows: how many of them stand on a page.
    """
    everything = [_liveliest(name, maps) for name, maps in layers]
    return [everything[start : start + rows] for start in range(0, len(everything), rows)]


def _liveliest(name: str, maps: Maps) -> MapRow:
    order = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:CHANNELS]
    return MapRow(name, maps.shape, order.tolist(), np.moveaxis(maps[..., order], -1, 0))


def plot_feature_maps(page: Sequence[MapRow], image: Image, what: str) -> Figure:
    """The image above, then a row for each convolution; each map has a scale of its own, dark is low, yellow high."""
    title = f"feature maps of {what}\nof each convolution those that vary most, with their channel numbers"
    board = Board(title, CHANNELS, [0] + [2] * len(page), cell=0.95)
    board.show(0, 0, image)
    for number, row in enumerate(page, start=1):
        board.write(number, 0, f"{row.layer}  {'x'.join(map(str, row.shape))}", line=1, align="left", fontsize=9)
        for column, (channel, one) in enumerate(zip(row.channels, row.maps, strict=True)):
            board.draw(number, column, one, cmap="viridis")
            board.write(number, column, f"{channel}", fontsize=7)
    return board.figure
