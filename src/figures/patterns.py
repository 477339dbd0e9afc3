"""Images that a network answers to most."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, grid_shape

Patterns = npt.NDArray[np.floating]


class PatternRow(NamedTuple):
    """The patterns of a layer.

    Attributes:
        layer: its name.
        total: the number of all its maps.
        channels: those that are drawn.
        patterns: (channels, height, width, image channels), 0-1.
    """

    layer: str
    total: int
    channels: Sequence[int]
    patterns: Patterns


def plot_filter_patterns(rows: Sequence[PatternRow], total: int) -> Figure:
    """Draw a row of patterns for each layer, with their channel numbers.

    Args:
        rows: at least one.
        total: the number of layers that could be drawn.
    """
    of_all = f"; {len(rows)} of {total} layers" if total > len(rows) else ""
    title = f"patterns that excite a filter most{of_all}\nbelow each layer's name: channel numbers"
    board = Board(title, max(len(row.channels) for row in rows), [2] * len(rows), cell=0.95)
    for number, row in enumerate(rows):
        name = f"{row.layer}  {len(row.channels)} of {row.total} filters"
        board.write(number, 0, name, line=1, align="left", fontsize=9)
        for column, (channel, pattern) in enumerate(zip(row.channels, row.patterns, strict=True)):
            _draw(board, number, column, pattern)
            board.write(number, column, f"{channel}", fontsize=7)
    return board.figure


def plot_class_patterns(answers: Sequence[tuple[str, float]], patterns: Patterns, total: int) -> Figure:
    """Draw the pattern of each class, with the class's name and its probability for the pattern.

    Args:
        answers: the name and the probability of each class.
        patterns: (classes, height, width, channels), 0-1.
        total: the number of all classes.
    """
    of_all = f"; {len(answers)} of {total} classes" if total > len(answers) else ""
    title = f"patterns that have the highest score of a class{of_all}\nabove each: class (probability)"
    rows, columns = grid_shape(len(answers)) if len(answers) > 10 else (-(-len(answers) // 5), min(5, len(answers)))
    widest = 0.066 * max(len(name) + 7 for name, _ in answers)  # inches
    board = Board(title, columns, [1] * rows, cell=1.2, text_width=widest)
    for number, ((name, probability), pattern) in enumerate(zip(answers, patterns, strict=True)):
        row, column = divmod(number, columns)
        _draw(board, row, column, pattern)
        board.write(row, column, f"{name} ({probability:.2f})", fontsize=9)
    return board.figure


def _draw(board: Board, row: int, column: int, pattern: Patterns) -> None:
    board.show(row, column, np.round(255 * pattern).astype(np.uint8))
