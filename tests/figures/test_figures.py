"""Every picture can be drawn and saved, for all kinds of data."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from matplotlib.figure import Figure

from src import figures
from src.cli.compose import CONF
from src.figures import GRAD_CAM, OCCLUSION, Confusion, MapPoint, PatternRow, Prediction
from tests.figures.test_curves import HISTORY, VALIDATION, curves
from tests.figures.test_predictions import WORST
from tests.support.figures import images, png, visible

GRAY4 = np.zeros((4, 4, 4, 1), np.uint8)


def confusion(names: Sequence[str]) -> Figure:
    return figures.plot_confusion(Confusion(np.eye(len(names), dtype=np.int64), list(names)))


def feature_maps(shape: tuple[int, ...], image: tuple[int, ...] = (4, 4, 1)) -> Figure:
    page = figures.feature_maps_data([("conv", np.zeros(shape)), ("conv", np.ones(shape))])[0]
    return figures.plot_feature_maps(page, np.zeros(image, np.uint8), "an image")


def class_heats(shape: tuple[int, ...]) -> Figure:
    return figures.plot_class_heats(
        OCCLUSION,
        np.zeros(shape, np.uint8),
        [("ant", 0.5), ("$\\b$", 0.5)],
        np.zeros((2, *shape[:2])),
        "$\\b$.png",
    )


PICTURES: dict[str, tuple[Callable[[], Figure], int, int]] = {  # with how many axes and images each has
    "curves": (lambda: curves(HISTORY | VALIDATION, 2), 2, 0),
    "curves without validation": (lambda: curves(HISTORY, None), 2, 0),
    "curves of one epoch": (lambda: curves({name: values[:1] for name, values in HISTORY.items()}, 1), 2, 0),
    "confusion with its scale": (lambda: confusion("ab"), 2, 1),
    "confusion of many": (lambda: confusion([f"class {index}" for index in range(40)]), 2, 1),
    "mistakes": (lambda: figures.plot_mistakes(WORST, np.zeros((4, 5, 5, 1), np.uint8)), 1, 3),
    "one mistake in color": (lambda: figures.plot_mistakes(WORST[:1], np.zeros((4, 5, 5, 3), np.uint8)), 1, 1),
    "no mistake": (lambda: figures.plot_mistakes([], np.zeros((4, 5, 5, 1), np.uint8)), 1, 0),
    "filters": (lambda: figures.plot_filters(np.ones((6, 3, 3, 1)), "conv"), 1, 6),
    "one filter of zeros": (lambda: figures.plot_filters(np.zeros((1, 5, 5, 3)), "conv"), 1, 1),
    "feature maps of an image wider than high": (lambda: feature_maps((2, 5, 3), (4, 9, 3)), 1, 1 + 3 + 3),
    "feature maps of one pixel": (lambda: feature_maps((1, 1, 9)), 1, 1 + 8 + 8),
    "grad-cam": (
        lambda: figures.plot_heats(GRAD_CAM, WORST[:1], WORST[1:], GRAY4, np.zeros((3, 4, 4))),
        2,
        3 * 3,
    ),
    "grad-cam without mistakes": (
        lambda: figures.plot_heats(GRAD_CAM, WORST, [], GRAY4, np.ones((3, 4, 4))),
        2,
        3 * 3,
    ),
    "grad-cam of nothing": (lambda: figures.plot_heats(GRAD_CAM, [], [], GRAY4, np.zeros((0, 4, 4))), 2, 0),
    "heats of an image in color": (lambda: class_heats((4, 9, 3)), 2, 1 + 2 * 2),
    "patterns of filters": (
        lambda: figures.plot_filter_patterns([PatternRow("a", 9, [0, 5], np.ones((2, 4, 6, 1)))] * 2, 3),
        1,
        4,
    ),
    "patterns of classes with long names": (
        lambda: figures.plot_class_patterns([("c" * 30, 0.5)] * 11, np.zeros((11, 4, 4, 3)), 40),
        1,
        11,
    ),
    "a map of images": (lambda: figures.plot_embedding([MapPoint(0, 1, 0, 1), MapPoint(1, 0, 1, 1)], "ab"), 1, 0),
    "more filters than are shown": (lambda: figures.plot_filters(np.ones((70, 3, 3, 1)), "conv"), 1, 64),
}


@pytest.mark.parametrize(("draw", "axes", "shown"), PICTURES.values(), ids=PICTURES)
def test_a_picture_shows_as_many_images_as_there_are_and_saves_as_png(
    draw: Callable[[], Figure], axes: int, shown: int
) -> None:
    figure = draw()
    assert len(visible(figure)) == axes
    assert len(images(figure)) == shown
    assert png(figure).startswith(b"\x89PNG")


def test_drawing_needs_no_pyplot_and_so_no_window_system() -> None:
    program = """
import sys
from src import figures
from src.process.lazy import import_now
import_now(figures)
print("matplotlib.pyplot" in sys.modules, "matplotlib.figure" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=CONF.parent, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_class_name_is_not_read_as_a_formula() -> None:
    mistakes = [Prediction(0, "$\\b$", "b", 0.5, 0.25)]
    for figure in (confusion(["$\\b$", "b"]), figures.plot_mistakes(mistakes, np.zeros((1, 9, 9, 1), np.uint8))):
        assert png(figure)
