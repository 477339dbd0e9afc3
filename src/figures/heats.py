"""Heat maps over their images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from src.figures.board import Board, Image, Images
from src.figures.predictions import Prediction, show_prediction, text_width

SCALE = 1.0  # inches for the scale at the right
BRIGHTEST = 99.5  # percentile that has the full color, so that one pixel does not make all others pale
Heats = npt.NDArray[np.floating]


class HeatStyle(NamedTuple):
    """The look of a kind of heat maps.

    Attributes:
        title: names the method; the picture of one image adds the image's name.
        meaning: what a heat is, for the picture of several predictions and for the picture of one image.
        scale: the label of the scale.
        is_signed: True if a heat may also be negative: blue is negative, red is positive.
    """

    title: str
    meaning: tuple[str, str]
    scale: str
    is_signed: bool = False

    @property
    def colors(self) -> ScalarMappable:
        """The colors of the heats from their lowest to their highest value."""
        if self.is_signed:
            return ScalarMappable(Normalize(-1, 1), "RdBu_r")
        return ScalarMappable(Normalize(0, 1), "plasma")


GRAD_CAM = HeatStyle(
    "Grad-CAM", ("evidence for the predicted class", "evidence for each class"), "heat, as a share of the largest"
)
OCCLUSION = HeatStyle(
    "occlusion",
    (
        "drop of the predicted class's probability when a place is covered",
        "drop of each probability when a place is covered",
    ),
    "drop, as a share of the largest",
    is_signed=True,
)
INTEGRATED_GRADIENTS = HeatStyle(
    "integrated gradients",
    ("share of each pixel in the predicted class's score", "share of each pixel in each score"),
    "share, relative to the largest",
    is_signed=True,
)


def plot_heats(
    style: HeatStyle, right: Sequence[Prediction], wrong: Sequence[Prediction], images: Images, heats: Heats
) -> Figure:
    """Draw right predictions and then wrong ones, each as the image and its heat map.

    Args:
        style: what the heats are.
        right, wrong: the predictions.
        images: uint8, (n, height, width, channels), of the whole split.
        heats: (right and wrong, height, width), in the order of the predictions, right ones first; 0 to 1, signed ones
            of any size.
    """
    groups = [group for group in (right, wrong) if group]
    columns = max([len(group) for group in groups], default=1)
    lines = [2, 0] * max(len(groups), 1)
    title = f"{style.title}: {style.meaning[0]}"
    board = Board(title, columns, lines, cell=1.8, text_width=text_width([*right, *wrong]), right=SCALE)
    remaining = iter(heats)
    for number, group in enumerate(groups):
        for column, prediction in enumerate(group):
            show_prediction(board, 2 * number, column, prediction, images)
            _lay_over(board, 2 * number + 1, column, images[prediction.image], next(remaining), style)
    return _with_scale(board, style)


def plot_class_heats(
    style: HeatStyle, image: Image, answers: Sequence[tuple[str, float]], heats: Heats, name: str
) -> Figure:
    """Draw one image, then the heat map of each class in it.

    Args:
        style: what the heats are.
        image: uint8, (height, width, channels).
        answers: the name and the probability of each class.
        heats: (classes, height, width), 0 to 1, signed ones of any size.
        name: of the image.
    """
    title = f"{style.title} of {name}: {style.meaning[1]}"
    board = Board(title, len(answers) + 1, [1], cell=2.1, right=SCALE)
    board.show(0, 0, image)
    for column, ((class_name, probability), heat) in enumerate(zip(answers, heats, strict=True), start=1):
        _lay_over(board, 0, column, image, heat, style)
        board.write(0, column, f"{class_name} ({probability:.2f})", fontsize=9)
    return _with_scale(board, style)


def _lay_over(board: Board, row: int, column: int, image: Image, heat: Heats, style: HeatStyle) -> None:
    """Draw the image in gray, and the heat over it: more opaque where it is stronger."""
    colors = style.colors.cmap
    if not style.is_signed:
        board.draw(row, column, image.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
        board.draw(row, column, heat, cmap=colors, vmin=0, vmax=1, alpha=0.25 + 0.5 * heat)
        return
    # Blue and red are distinct on light gray only, so the image is pale.
    board.draw(row, column, image.mean(axis=-1), cmap="gray", vmin=-600, vmax=255)
    heat = scaled_heat(heat)
    board.draw(row, column, heat, cmap=colors, vmin=-1, vmax=1, alpha=np.abs(heat) ** 0.5)


def scaled_heat(heat: Heats) -> Heats:
    """Return a signed heat map with values from -1 to 1, where 0 stays 0; a few extreme values are cut off."""
    largest = float(np.percentile(np.abs(heat), BRIGHTEST)) or float(np.abs(heat).max()) or 1.0
    return np.clip(heat / largest, -1, 1)


def _with_scale(board: Board, style: HeatStyle) -> Figure:
    board.add_scale(style.colors, style.scale)
    return board.figure
