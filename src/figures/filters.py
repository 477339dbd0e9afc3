"""The kernels that a network has learned."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, grid_shape


def plot_filters(kernels: npt.NDArray[np.floating], layer: str, max_filters: int = 64) -> Figure:
    """Draw kernels, all on the same scale. Those with three channels are drawn in color, where gray is zero.

    Of others the mean over the channels is drawn: blue is negative, red is positive, white is zero.

    Args:
        kernels: (filters, height, width, channels).
        layer: the name of the convolution.
        max_filters: at most this many are drawn.
    """
    shown = kernels[:max_filters]
    count = f"{max_filters} of {len(kernels)}" if len(kernels) > max_filters else f"{len(kernels)}"
    rows, columns = grid_shape(len(shown))
    board = Board(f"learned filters of {layer} ({count})", columns, [1] * rows, cell=1.1)
    has_colors = shown.shape[-1] == 3
    if not has_colors:
        shown = shown.mean(axis=-1)
    largest = float(np.abs(shown).max()) or 1.0
    for index, kernel in enumerate(shown):
        row, column = divmod(index, columns)
        if has_colors:
            board.draw(row, column, 0.5 + 0.5 * kernel / largest)
        else:
            board.draw(row, column, kernel, cmap="bwr", vmin=-largest, vmax=largest)
        board.write(row, column, str(index), fontsize=8)
    return board.figure
