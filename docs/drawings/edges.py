"""A worked example of convolution: the vertical edges of a digit, and the sizes of the results."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from src.figures.board import Image
from src.schema import output_size

Values = npt.NDArray[np.integer]
SOBEL: Values = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])  # dark at the left, bright at the right: positive
LEGIBLE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "boxstyle": "round,pad=0.15"}  # on any shade


class Step(NamedTuple):
    """The result of a convolution or a pooling.

    Attributes:
        name: of the operation.
        formula: for the side of the result.
        values: (side, side).
    """

    name: str
    formula: str
    values: Values


class Edges(NamedTuple):
    """The example.

    Attributes:
        digit: (side, side), 0-255.
        corner: row and column of the patch with the largest result.
        sum_: that result as a sum.
        steps: the results of the kernel with different padding and strides, and of a pooling.
    """

    digit: Values
    corner: tuple[int, int]
    sum_: str
    steps: list[Step]


def edges_data(image: Image) -> Edges:
    """Return the results of the Sobel kernel for vertical edges on a square image: uint8, (side, side, 1)."""
    digit = image[..., 0].astype(int)
    side, window = len(digit), len(SOBEL)
    valid = convolve(digit)
    row, column = np.unravel_index(valid.argmax(), valid.shape)
    patch = digit[row : row + window, column : column + window]
    terms = " + ".join(f"{weight}·{pixel}" for weight, pixel in zip(SOBEL.flat, patch.flat, strict=True) if weight)
    pooled = _windows(valid, 2)[::2, ::2].max(axis=(-2, -1))
    steps = [
        Step("padding valid", _formula(side, window, 1), valid),
        Step("padding same", f"ceil({side} / 1) = {output_size(side, window, 1, 'same')}", convolve(np.pad(digit, 1))),
        Step("strides 2", _formula(side, window, 2), valid[::2, ::2]),
        Step("max pool 2x2 of valid", _formula(len(valid), 2, 2), pooled),
    ]
    return Edges(digit, (int(row), int(column)), f"{terms} = {valid[row, column]}", steps)


def convolve(digit: Values) -> Values:
    """Return the kernel's result at each position: the sum of its weights times the pixels below them."""
    return np.einsum("rcij,ij->rc", _windows(digit, len(SOBEL)), SOBEL)


def _windows(values: Values, window: int) -> Values:
    return np.lib.stride_tricks.sliding_window_view(values, (window, window))


def _formula(side: int, window: int, strides: int) -> str:
    return f"floor(({side} - {window}) / {strides}) + 1 = {output_size(side, window, strides, 'valid')}"


def plot_edges(data: Edges) -> Figure:
    """Draw digit, kernel and one result above, and all results below. Orange is positive, purple is negative."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    figure.suptitle("a 3x3 kernel for vertical edges on a digit")
    cells = figure.subplots(2, 4)
    window, (row, column) = len(SOBEL), data.corner
    digit, kernel, patch = cells[0, :3]
    digit.imshow(data.digit, cmap="gray", vmin=0, vmax=255)
    corner = (column - 0.5, row - 0.5)
    digit.add_patch(Rectangle(corner, window, window, fill=False, edgecolor="orange", linewidth=2))
    kernel.imshow(SOBEL, cmap="PuOr_r", vmin=-3, vmax=3)
    below = data.digit[row : row + window, column : column + window]
    patch.imshow(below, cmap="gray", vmin=0, vmax=255)
    for axes, values in ((kernel, SOBEL), (patch, below)):
        for (down, right), value in np.ndenumerate(values):
            axes.text(right, down, str(value), ha="center", va="center", fontsize=13, bbox=LEGIBLE)
    for axes, step in zip(cells[1], data.steps, strict=True):
        largest = float(np.abs(data.steps[0].values).max()) or 1.0
        axes.imshow(step.values, cmap="PuOr_r", vmin=-largest, vmax=largest)
    for axes in cells.flat:
        axes.set(xticks=[], yticks=[])
    sides = (len(data.digit), *(len(step.values) for step in data.steps))
    titles = [f"digit, {sides[0]}x{sides[0]}", "kernel", "the marked patch"]
    titles += [f"{step.name}: {side}x{side}\n{step.formula}" for step, side in zip(data.steps, sides[1:], strict=True)]
    for axes, title in zip((digit, kernel, patch, *cells[1]), titles, strict=True):
        axes.set_title(title, fontsize=10)
    lines = "result for the patch:\n" + data.sum_.replace(" + ", "\n+ ").replace(" = ", "\n= ")
    cells[0, 3].axis("off")
    cells[0, 3].text(0.05, 0.5, lines, transform=cells[0, 3].transAxes, va="center", fontsize=12, linespacing=1.5)
    return figure


def edges_text(data: Edges) -> Iterator[str]:
    """Yield lines that describe the picture. The file contains them, so that a test can compare it with the code."""
    yield data.sum_
    for step in data.steps:
        yield f"{step.name}: {step.formula}, values from {step.values.min()} to {step.values.max()}"
