"""The kernels that a network has learned."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, square


def plot_filters(kernels: npt.NDArray[np.floating], layer: str, most: int = 64) -> Figure:
    """Kernels on one scale for all. Those that see three channels are in colour, grey is zero.

    Of any others the mean over the channels is shown: blue is negative, red positive, white zero.

    Args:
        kernels: (filters, height, width, channels).
        layer: the convolution's name.
        most: how many are shown.
    """
    shown = kernels[:most]
    count = f"{most} of {len(kernels)}" if len(kernels) > most else f"{len(kernels)}"
    rows, columns = square(len(shown))
    board = Board(f"learned filters of {layer} ({count})", columns, [1] * rows, cell=1.1)
    is_colour = shown.shape[-1] == 3
    if not is_colour:
        shown = shown.mean(axis=-1)
    largest = float(np.abs(shown).max()) or 1.0
    for index, kernel in enumerate(shown):
        row, column = divmod(index, columns)
        if is_colour:
            board.draw(row, column, 0.5 + 0.5 * kernel / largest)
        else:
            board.draw(row, column, kernel, cmap="bwr", vmin=-largest, vmax=largest)
        board.write(row, column, str(index), fontsize=8)
    return board.figure
