"""Pairs of images that are equal or nearly equal."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.board import Board, Image
from src.figures.colors import BLUE, RED
from src.results import short_name

PAIRS = 2  # in a row
MAX_PAIRS = 24  # in the figure


class ShownImage(NamedTuple):
    """An image (uint8, height x width x channels), the names of its class and its split, and its own name."""

    pixels: Image
    class_name: str
    split: str
    name: str


def plot_pairs(pairs: Sequence[tuple[ShownImage, ShownImage]], total: int) -> Figure:
    """Draw the pairs in rows. Above each image are its class and split, orange if the classes differ, and its name.

    Args:
        pairs: at least one; the first `MAX_PAIRS` are drawn.
        total: the number of pairs that were found.
    """
    shown = pairs[:MAX_PAIRS]
    of_all = f"{len(shown)} of {total:,} pairs" if total > len(shown) else f"{total} pair{'s' * (total != 1)}"
    title = f"{of_all} of equal or nearly equal images\nabove each: class (split), orange if classes differ, and name"
    texts = [[(_class(image), short_name(image.name)) for image in pair] for pair in shown]
    width = 0.066 * max((len(text) for pair in texts for lines in pair for text in lines), default=0)  # inches
    rows, columns = -(-len(shown) // PAIRS), 3 * min(len(shown), PAIRS) - 1  # a place between two pairs is empty
    board = Board(title, columns, [2] * rows, cell=1.2, text_width=width)
    for number, (pair, lines) in enumerate(zip(shown, texts, strict=True)):
        row, place = divmod(number, PAIRS)
        color = BLUE if pair[0].class_name == pair[1].class_name else RED
        for column, image, (upper, lower) in zip((3 * place, 3 * place + 1), pair, lines, strict=True):
            board.show(row, column, image.pixels)
            board.write(row, column, upper, line=1, color=color, fontsize=9)
            board.write(row, column, lower, fontsize=8)
    return board.figure


def _class(image: ShownImage) -> str:
    return f"{short_name(image.class_name)} ({image.split})"
