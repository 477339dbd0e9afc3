"""Heat maps: each image with its own heat on it."""

import numpy as np

from src import figures
from src.figures import GRAD_CAM, OCCLUSION, Prediction
from src.figures.heats import scaled_heat
from tests.support.figures import GRAY, images, texts, values

HEATS = np.linspace(0, 1, 3 * 4 * 4).reshape(3, 4, 4)
RIGHT, WRONG = Prediction(2, "ant", "ant", 0.9, 0.9), Prediction(0, "ant", "bee", 0.8, 0.2)


def test_right_predictions_are_above_wrong_ones_each_with_its_heat_below_it() -> None:
    figure = figures.plot_heats(GRAD_CAM, [RIGHT], [WRONG], GRAY, HEATS)
    _, *captions = texts(figure.axes[0])
    assert captions == ["ant (0.90)", "is ant (0.90), #2", "bee (0.80)", "is ant (0.20), #0"]
    gray = [GRAY[place, ..., 0].tolist() for place in (2, 0)]
    assert values(figure) == [gray[0], gray[0], HEATS[0].tolist(), gray[1], gray[1], HEATS[1].tolist()]
    tops = [image.get_extent()[3] for image in images(figure)]
    assert tops[0] < tops[1] == tops[2] < tops[3] < tops[4] == tops[5]


def test_right_and_wrong_are_distinguished_by_two_colors() -> None:
    (axes, _) = figures.plot_heats(GRAD_CAM, [RIGHT], [WRONG], GRAY, HEATS).axes
    assert len({text.get_color() for text in axes.texts if text.get_text() in ("ant (0.90)", "bee (0.80)")}) == 2


def test_one_image_has_a_heat_for_each_class() -> None:
    figure = figures.plot_class_heats(GRAD_CAM, GRAY[1], [("ant", 0.9), ("bee", 0.1)], HEATS[:2], "a.png")
    assert texts(figure.axes[0])[1:] == ["ant (0.90)", "bee (0.10)"]
    assert values(figure)[2::2] == HEATS[:2].tolist()


def test_a_signed_heat_is_scaled_to_its_largest_value_and_zero_stays_zero() -> None:
    assert scaled_heat(np.array([[-2.0, 0.0], [1.0, 2.0]])).tolist() == [[-1, 0], [0.5, 1]]
    assert scaled_heat(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_one_extreme_pixel_does_not_make_all_others_pale() -> None:
    heat = np.full((30, 30), 1.0)
    heat[0, 0] = 100
    assert scaled_heat(heat).tolist() == np.ones((30, 30)).tolist()


def test_a_signed_heat_map_shows_its_image_and_its_scaled_heat() -> None:
    figure = figures.plot_class_heats(OCCLUSION, GRAY[1], [("ant", 0.9)], -3 * HEATS[1:2], "a.png")
    assert texts(figure.axes[0])[0] == "occlusion of a.png: drop of each probability when a place is covered"
    assert values(figure)[2] == scaled_heat(-3 * HEATS[1]).tolist()
    assert [image.get_clim() for image in images(figure)][2] == (-1, 1)
