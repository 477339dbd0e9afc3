"""Grad-CAM: each image with its own heat on it."""

import numpy as np

from src import figures
from src.figures import Prediction
from tests.figures.conftest import GRAY, texts, visible

HEATS = np.linspace(0, 1, 3 * 4 * 4).reshape(3, 4, 4)
RIGHT, WRONG = Prediction(2, "ant", "ant", 0.9, 0.9), Prediction(0, "ant", "bee", 0.8, 0.2)


def test_right_predictions_stand_above_wrong_ones_each_with_its_own_heat_below_it() -> None:
    figure = figures.plot_grad_cam([RIGHT], [WRONG], GRAY, HEATS)
    cells = [axes for axes in visible(figure) if axes.images]
    assert [cell.get_title() for cell in cells] == ["ant (0.90)", "", "bee (0.80)", ""]
    assert [texts(cell) for cell in cells] == [["is ant (0.90), #2"], [], ["is ant (0.20), #0"], []]
    assert [cell.images[0].get_array().tolist() for cell in cells[::2]] == [
        GRAY[2, ..., 0].tolist(),
        GRAY[0, ..., 0].tolist(),
    ]
    assert [cell.images[1].get_array().tolist() for cell in cells[1::2]] == HEATS[:2].tolist()


def test_right_and_wrong_are_told_apart_by_two_colours() -> None:
    cells = [axes for axes in visible(figures.plot_grad_cam([RIGHT], [WRONG], GRAY, HEATS)) if axes.get_title()]
    assert len({cell.title.get_color() for cell in cells}) == 2


def test_one_image_has_a_heat_for_each_class() -> None:
    figure = figures.plot_class_heats(GRAY[1], [("ant", 0.9), ("bee", 0.1)], HEATS[:2], "a.png")
    cells = [axes for axes in visible(figure) if axes.images]
    assert [cell.get_title() for cell in cells] == ["", "ant (0.90)", "bee (0.10)"]
    assert [cell.images[1].get_array().tolist() for cell in cells[1:]] == HEATS[:2].tolist()
