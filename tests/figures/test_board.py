"""Images in cells: in their own proportions, in the middle, with text above them."""

import numpy as np
import pytest

from src.figures.board import Board, grid_shape
from tests.support.figures import images, png, texts


@pytest.mark.parametrize(("count", "expected"), [(0, (1, 1)), (1, (1, 1)), (2, (1, 2)), (5, (2, 3)), (25, (5, 5))])
def test_cells_form_a_nearly_square_grid(count: int, expected: tuple[int, int]) -> None:
    assert grid_shape(count) == expected


def test_an_image_keeps_its_proportions_in_the_middle_of_its_cell() -> None:
    board = Board("title", 2, [0, 0], cell=2.0)
    for place in ((0, 0), (1, 1)):
        board.show(*place, np.zeros((4, 4, 3), np.uint8))
        board.show(*place, np.zeros((2, 4, 1), np.uint8))
    for square_, wide in zip(*[iter(images(board.figure))] * 2, strict=True):
        left, right, bottom, top = square_.get_extent()
        assert wide.get_extent() == pytest.approx([left, right, bottom - 0.5, top + 0.5])


def test_cells_and_lines_of_text_do_not_touch_each_other() -> None:
    board = Board("two\nlines", 2, [2, 1], cell=1.0)
    for row in range(2):
        for column in range(2):
            board.show(row, column, np.zeros((3, 3, 1), np.uint8))
    board.write(0, 0, "upper", line=1, fontsize=8)
    board.write(0, 0, "lower", fontsize=8)
    board.write(1, 0, "below", fontsize=8)
    png(board.figure)  # so that everything has its place
    boxes = [each.get_window_extent() for each in (*board.axes.texts, *images(board.figure))]
    for at, box in enumerate(boxes):
        assert not [other for other in boxes[at + 1 :] if box.overlaps(other)]


def test_a_row_has_its_name_at_its_left_and_text_is_not_read_as_a_formula() -> None:
    board = Board("$\\a$", 1, [0], cell=1.0, left=2.0)
    board.name_row(0, "$\\b$")
    board.show(0, 0, np.zeros((3, 3, 1), np.uint8))
    assert png(board.figure)
    assert texts(board.axes) == ["$\\a$", "$\\b$"]
    assert board.axes.texts[1].get_window_extent().x1 < images(board.figure)[0].get_window_extent().x0
