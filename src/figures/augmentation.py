"""Training images next to augmented versions of them."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Images


def plot_augmentation(images: Images, versions: npt.NDArray[np.uint8], name: str) -> Figure:
    """Draw a row for each image: the image at the left, and then what training may see instead.

    Args:
        images: uint8, (n, height, width, channels).
        versions: uint8, (n, versions, height, width, channels).
        name: of the augmentation.
    """
    title = f"augmentation={name}: training images and augmented versions"
    board = Board(title, versions.shape[1] + 1, [1] + [0] * (len(versions) - 1), cell=1.25)
    for row, (image, changed) in enumerate(zip(images, versions, strict=True)):
        for column, shown in enumerate([image, *changed]):
            board.show(row, column, shown)
    board.write(0, 0, "original", fontsize=9)
    board.write(0, 1, "augmented", fontsize=9)
    return board.figure
