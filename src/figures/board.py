"""Images in rows and columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from src.results import printable

Image = npt.NDArray[np.uint8]  # height, width, channels
Images = npt.NDArray[np.uint8]  # number, height, width, channels

EDGE, GAP, LINE = 0.15, 0.08, 0.16  # inches: around everything, between cells, from a line of text to the next
MIN_WIDTH = 6.2  # inches, so that a title fits


class Board:
    """Cells in rows and columns on one pair of axes, each for an image with lines of text above it.

    The place of everything is computed in inches before it is drawn. One pair of axes for each image, with a layout
    that Matplotlib computes while it draws, takes several times as long.

    Attributes:
        figure: the picture.
    """

    def __init__(
        self,
        title: str,
        columns: int,
        lines: Sequence[int],
        cell: float,
        *,
        text_width: float = 0,
        left: float = EDGE,
        right: float = EDGE,
    ) -> None:
        """Make an empty board.

        Args:
            title: one or more lines above everything.
            columns: the number of cells in a row.
            lines: for each row, the number of lines of text above its cells.
            cell: the side of a cell in inches.
            text_width: the width of the text above a cell in inches; it may be wider than the cell.
            left, right: margins in inches, for the names of rows and for a scale.
        """
        self.cell, self.step = cell, max(cell, text_width) + GAP
        used = left + columns * self.step - GAP + right
        width = max(used, MIN_WIDTH)
        self.left = left + (width - used) / 2
        top = EDGE + 0.25 * (title.count("\n") + 1)
        self.tops = []  # of the images of each row
        for count in lines:
            top += GAP + LINE * count
            self.tops.append(top)
            top += cell
        height = top + EDGE
        self.figure = Figure(figsize=(width, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.axes.axis("off")
        self.axes.text(width / 2, EDGE, title, ha="center", va="top", fontsize=11, parse_math=False)

    def show(self, row: int, column: int, image: Image) -> None:
        """Draw an image in a cell: uint8, (height, width, channels); a single channel is drawn in gray."""
        is_gray = image.shape[-1] == 1
        self.draw(row, column, image[..., 0] if is_gray else image, cmap="gray" if is_gray else None, vmin=0, vmax=255)

    def draw(self, row: int, column: int, values: npt.NDArray[Any], **style: Any) -> None:
        """Draw values in the middle of a cell, in their own proportions; `style` is for Matplotlib's `imshow`."""
        height, width = values.shape[0], values.shape[1]
        scale = self.cell / max(height, width)
        height, width = height * scale, width * scale
        x = self._x(column) + (self.cell - width) / 2
        y = self.tops[row] + (self.cell - height) / 2
        self.axes.imshow(values, extent=(x, x + width, y + height, y), aspect="auto", **style)
        self.axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor="0.8", linewidth=0.5))

    def write(self, row: int, column: int, text: str, line: int = 0, align: str = "center", **style: Any) -> None:
        """Write a line of text above a cell; line 0 is the one next to the cell. Line breaks in names are not drawn."""
        x = self._x(column) + (self.cell / 2 if align == "center" else 0)
        y = self.tops[row] - 0.03 - LINE * line
        self.axes.text(x, y, printable(text), ha=align, va="bottom", parse_math=False, **style)

    def name_row(self, row: int, text: str, **style: Any) -> None:
        """Write the name of a row at its left."""
        y = self.tops[row] + self.cell / 2
        self.axes.text(self.left - GAP, y, text, ha="right", va="center", parse_math=False, **style)

    def add_scale(self, colors: ScalarMappable, label: str) -> None:
        """Draw the scale of the colors at the right."""
        width, height = self.figure.get_size_inches()
        tall = min(height - 2 * EDGE - 0.25, 4.0)
        place = (1 - 0.75 / width, (height - 0.25 - tall) / 2 / height, 0.12 / width, tall / height)
        bar = self.figure.colorbar(colors, cax=self.figure.add_axes(place))
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=8)

    def _x(self, column: int) -> float:
        return self.left + column * self.step + (self.step - GAP - self.cell) / 2


def grid_shape(count: int) -> tuple[int, int]:
    """Return the rows and columns of a nearly square grid for this many cells; at least 1 by 1."""
    columns = max(1, int(np.ceil(np.sqrt(count))))
    return max(1, -(-count // columns)), columns
