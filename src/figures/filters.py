"""The kernels that a network has learned."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.grid import grid


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
    figure = grid(len(shown), f"learned filters of {layer} ({count})", cell=1.2)
    is_colour = shown.shape[-1] == 3
    if not is_colour:
        shown = shown.mean(axis=-1)
    largest = float(np.abs(shown).max()) or 1.0
    for index, (axes, kernel) in enumerate(zip(figure.axes, shown, strict=False)):
        if is_colour:
            axes.imshow(0.5 + 0.5 * kernel / largest)
        else:
            axes.imshow(kernel, cmap="bwr", vmin=-largest, vmax=largest)
        axes.set_title(str(index), fontsize=8)
    return figure
