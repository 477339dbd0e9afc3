"""Feature maps: what each convolution makes of an image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.grid import Image, blank_empty, show

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
    height = 1.42 * (len(page) + 1) + 0.6
    figure = Figure(figsize=(CHANNELS + 0.5, height))
    figure.suptitle(
        f"feature maps of {what}\nof each convolution those that vary most, with their channel numbers",
        fontsize=10,
        y=1 - 0.1 / height,
        parse_math=False,
    )
    edges = {"left": 0.02, "right": 0.98, "bottom": 0.25 / height, "top": 1 - 0.65 / height}
    cells = figure.subplots(len(page) + 1, CHANNELS, squeeze=False, gridspec_kw=edges | {"wspace": 0.08, "hspace": 0.4})
    show(cells[0, 0], image)
    for row, line in zip(cells[1:], page, strict=True):
        for axes, channel, one in zip(row, line.channels, line.maps, strict=False):
            axes.imshow(one, cmap="viridis")
            axes.text(0.5, -0.04, f"{channel}", transform=axes.transAxes, ha="center", va="top", fontsize=7)
        row[0].set_title(f"{line.layer}  {'x'.join(map(str, line.shape))}", loc="left", fontsize=9)
    blank_empty(cells)
    return figure
