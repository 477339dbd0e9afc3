"""Frames of a film: pictures of a training after an epoch, drawn in milliseconds, without Matplotlib."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
SIDE = 64  # pixels of a cell
GAP = 4
LINE = 14  # height of a line of text
COLUMNS = 8
ROWS = 6  # convolutions: some of a deep network
MISTAKES = 16
WHITE, BLACK, ORANGE = (255, 255, 255), (0, 0, 0), (213, 94, 0)  # orange is that of the other figures
COLORS: npt.NDArray[np.float32] = np.array(  # viridis at nine points: https://cran.r-project.org/package=viridisLite
    [
        [68, 1, 84],
        [71, 45, 123],
        [59, 82, 139],
        [44, 114, 142],
        [33, 145, 140],
        [40, 174, 128],
        [94, 201, 98],
        [173, 220, 48],
        [253, 231, 37],
    ],
    np.float32,
)


class Mistake(NamedTuple):
    """A wrong prediction: the image, the two classes, and the probability of the predicted one."""

    image: Pixels
    predicted: str
    true: str
    score: float


def maps_frame(image: Pixels, layers: Sequence[tuple[str, npt.NDArray[np.floating]]]) -> Pixels:
    """Return a picture of an image, and of the first feature maps of some convolutions, one row for each.

    Args:
        image: uint8, (height, width, channels).
        layers: the name and the maps, (height, width, channels), of each convolution.

    Returns:
        uint8, (height, width, 3). Each map has its own scale, from dark (low) to yellow (high).
    """
    shown = [layers[at] for at in np.unique(np.linspace(0, len(layers) - 1, ROWS).round().astype(int))]
    canvas = _Canvas(1 + len(shown), COLUMNS)
    canvas.put(0, 0, _in_colors(image))
    for row, (name, maps) in enumerate(shown, start=1):
        canvas.write(row, 0, name, BLACK)
        for column in range(min(COLUMNS, maps.shape[-1])):
            canvas.put(row, column, _viridis(maps[..., column]))
    return canvas.pixels()


def mistakes_frame(mistakes: Sequence[Mistake], images: int) -> Pixels:
    """Return a picture of wrong predictions, the surest first, each with its two classes.

    Args:
        mistakes: the wrong predictions, the surest first.
        images: the number of images that were predicted.
    """
    shown = mistakes[:MISTAKES]
    canvas = _Canvas(1 + MISTAKES // COLUMNS, COLUMNS, lines=2, first=LINE)
    canvas.write(
        0, 0, f"{len(mistakes)} of {images} images wrong; predicted class and its probability, true class", BLACK
    )
    for at, mistake in enumerate(shown):
        row, column = 1 + at // COLUMNS, at % COLUMNS
        canvas.write(row, column, f"{mistake.predicted[:6]} ({mistake.score:.2f})", ORANGE)
        canvas.write(row, column, f"is {mistake.true[:8]}", BLACK, line=1)
        canvas.put(row, column, _in_colors(mistake.image))
    return canvas.pixels()


class _Canvas:
    """A grid of cells with lines of text above each row.

    Args:
        rows, columns: the number of cells.
        lines: of text above each row.
        first: the height of the first row.
    """

    def __init__(self, rows: int, columns: int, lines: int = 1, first: int = SIDE + LINE) -> None:
        self.lines = lines
        heights = [first, *[SIDE + lines * LINE] * (rows - 1)]
        self.tops = [GAP + sum(heights[:row]) + GAP * row for row in range(rows)]
        size = (GAP + columns * (SIDE + GAP), self.tops[-1] + heights[-1] + GAP)
        self.image = Image.new("RGB", size, WHITE)
        self.draw = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(size=11)

    def put(self, row: int, column: int, pixels: Pixels) -> None:
        """Show pixels, (height, width, 3), in a cell, with their proportions."""
        found = Image.fromarray(pixels)
        scale = SIDE / max(found.size)
        size = (max(1, round(found.width * scale)), max(1, round(found.height * scale)))
        filter_ = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
        self.image.paste(found.resize(size, filter_), (self._left(column), self.tops[row] + self.lines * LINE))

    def write(self, row: int, column: int, text: str, color: tuple[int, int, int], line: int = 0) -> None:
        """Write a line of text above a cell."""
        self.draw.text((self._left(column), self.tops[row] + line * LINE), text, fill=color, font=self.font)

    def pixels(self) -> Pixels:
        """Return the whole as pixels, (height, width, 3)."""
        return np.asarray(self.image)

    @staticmethod
    def _left(column: int) -> int:
        return GAP + column * (SIDE + GAP)


def _in_colors(image: Pixels) -> Pixels:
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image


def _viridis(values: npt.NDArray[np.floating]) -> Pixels:
    low, high = float(values.min()), float(values.max())
    places = (np.asarray(values, np.float32) - low) / (high - low or 1.0) * (len(COLORS) - 1)
    channels = [np.interp(places, range(len(COLORS)), COLORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
