"""What augmentation makes of training images."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Images


def plot_augmentation(images: Images, versions: npt.NDArray[np.uint8], name: str) -> Figure:
    """Each image at the left of its row, what training may see instead beside it.

    Args:
        images: uint8, (n, height, width, channels).
        versions: uint8, (n, versions, height, width, channels).
        name: the augmentation's.
    """
    title = f"augmentation={name}: training images, and what is made of them"
    board = Board(title, versions.shape[1] + 1, [1] + [0] * (len(versions) - 1), cell=1.25)
    for row, (image, changed) in enumerate(zip(images, versions, strict=True)):
        for column, shown in enumerate([image, *changed]):
            board.show(row, column, shown)
    board.write(0, 0, "as it is", fontsize=9)
    board.write(0, 1, "augmented", fontsize=9)
    return board.figure
