"""Feature maps: the outputs of each convolution for an image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Image

Maps = npt.NDArray[np.floating]
CHANNELS = 8  # of each convolution
ROWS = 12  # on a page: a single picture of a deep network would be too tall to read


class MapRow(NamedTuple):
    """The maps of a convolution that vary most over the image, in this order.

    Attributes:
        layer: the name of the convolution.
        shape: height, width and number of all its maps.
        channels: the channels of the maps shown.
        maps: (shown, height, width).
    """

    layer: str
    shape: tuple[int, ...]
    channels: list[int]
    maps: Maps


def feature_maps_data(layers: Sequence[tuple[str, Maps]], rows: int = ROWS) -> list[list[MapRow]]:
    """Return pages of rows, one row for each convolution, with its maps that vary most over the image.

    Args:
        layers: the name and the maps, (height, width, channels), of each convolution.
        rows: the number of convolutions on a page.
    """
    all_rows = [_map_row(name, maps) for name, maps in layers]
    return [all_rows[start : start + rows] for start in range(0, len(all_rows), rows)]


def _map_row(name: str, maps: Maps) -> MapRow:
    order = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:CHANNELS]
    return MapRow(name, maps.shape, order.tolist(), np.moveaxis(maps[..., order], -1, 0))


def plot_feature_maps(page: Sequence[MapRow], image: Image, name: str) -> Figure:
    """Draw the image, then a row for each convolution; each map has its own scale, from dark (low) to yellow (high)."""
    title = f"feature maps of {name}\nthe maps of each convolution that vary most, with their channel numbers"
    board = Board(title, CHANNELS, [0] + [2] * len(page), cell=0.95)
    board.show(0, 0, image)
    for number, row in enumerate(page, start=1):
        board.write(number, 0, f"{row.layer}  {'x'.join(map(str, row.shape))}", line=1, align="left", fontsize=9)
        for column, (channel, values) in enumerate(zip(row.channels, row.maps, strict=True)):
            board.draw(number, column, values, cmap="viridis")
            board.write(number, column, f"{channel}", fontsize=7)
    return board.figure
