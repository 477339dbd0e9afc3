"""What augmentation makes of training images."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.grid import Images, blank_empty, show


def plot_augmentation(images: Images, versions: npt.NDArray[np.uint8], name: str) -> Figure:
    """Each image at the left of its row, what training may see instead beside it.

    Args:
        images: uint8, (n, height, width, channels).
        versions: uint8, (n, versions, height, width, channels).
        name: the augmentation's.
    """
    rows, columns = versions.shape[0], versions.shape[1] + 1
    figure = Figure(figsize=(1.3 * columns + 0.4, 1.3 * rows + 0.8), layout="constrained")
    figure.suptitle(f"augmentation={name}: training images, and what is made of them", parse_math=False)
    cells = figure.subplots(rows, columns, squeeze=False)
    for row, image, changed in zip(cells, images, versions, strict=True):
        for axes, shown in zip(row, [image, *changed], strict=True):
            show(axes, shown)
    blank_empty(cells)
    cells[0, 0].set_title("as it is", fontsize=9)
    cells[0, 1].set_title("augmented", fontsize=9, loc="left")
    return figure
