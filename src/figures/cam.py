"""Grad-CAM heat maps over their images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from src.figures.board import Board, Image, Images
from src.figures.predictions import Prediction, show_prediction, text_width

HEAT = "plasma"
SCALE = 1.0  # inches for the scale at the right
Heats = npt.NDArray[np.floating]


def plot_grad_cam(right: Sequence[Prediction], wrong: Sequence[Prediction], images: Images, heats: Heats) -> Figure:
    """Draw right predictions and then wrong ones, each as the image and its heat map.

    Args:
        right, wrong: the predictions.
        images: uint8, (n, height, width, channels), of the whole split.
        heats: (right and wrong, height, width), 0-1, in the order of the predictions, right ones first.
    """
    groups = [group for group in (right, wrong) if group]
    columns = max([len(group) for group in groups], default=1)
    lines = [2, 0] * max(len(groups), 1)
    title = "Grad-CAM: evidence for the predicted class"
    board = Board(title, columns, lines, cell=1.8, text_width=text_width([*right, *wrong]), right=SCALE)
    remaining = iter(heats)
    for number, group in enumerate(groups):
        for column, prediction in enumerate(group):
            show_prediction(board, 2 * number, column, prediction, images)
            _lay_over(board, 2 * number + 1, column, images[prediction.image], next(remaining))
    return _with_scale(board)


def plot_class_heats(image: Image, answers: Sequence[tuple[str, float]], heats: Heats, name: str) -> Figure:
    """Draw one image, then the evidence for each class in it.

    Args:
        image: uint8, (height, width, channels).
        answers: the name and the probability of each class.
        heats: (classes, height, width), 0-1.
        name: of the image.
    """
    title = f"Grad-CAM of {name}: evidence for each class"
    board = Board(title, len(answers) + 1, [1], cell=2.1, right=SCALE)
    board.show(0, 0, image)
    for column, ((class_name, probability), heat) in enumerate(zip(answers, heats, strict=True), start=1):
        _lay_over(board, 0, column, image, heat)
        board.write(0, column, f"{class_name} ({probability:.2f})", fontsize=9)
    return _with_scale(board)


def _lay_over(board: Board, row: int, column: int, image: Image, heat: npt.NDArray[np.floating]) -> None:
    """Draw the image in gray, and the heat over it: more opaque where it is hotter."""
    board.draw(row, column, image.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
    board.draw(row, column, heat, cmap=HEAT, vmin=0, vmax=1, alpha=0.25 + 0.5 * heat)


def _with_scale(board: Board) -> Figure:
    board.add_scale(ScalarMappable(Normalize(0, 1), HEAT), "heat, as a share of the largest")
    return board.figure
