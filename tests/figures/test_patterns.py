"""Patterns: each with its class or its channel above it."""

import numpy as np

from src import figures
from src.figures import PatternRow
from tests.support.figures import above, images, places, texts

PATTERNS = np.linspace(0, 1, 3 * 2 * 2).reshape(3, 2, 2, 1)


def test_a_layer_is_a_row_with_its_name_and_the_numbers_of_its_channels() -> None:
    rows = [PatternRow("conv_0", 6, [1, 4], PATTERNS[:2]), PatternRow("conv_1", 1, [0], PATTERNS[2:])]
    figure = figures.plot_filter_patterns(rows, 5)
    title, *lines = texts(figure.axes[0])
    assert title.startswith("patterns that excite a filter most; 2 of 5 layers")
    assert lines == ["conv_0  2 of 6 filters", "1", "4", "conv_1  1 of 1 filters", "0"]
    assert places(figure) == [(0, 0), (0, 1), (1, 0)]


def test_a_class_has_its_name_and_its_probability_above_its_pattern() -> None:
    figure = figures.plot_class_patterns([("ant", 0.9), ("bee", 1.0)], PATTERNS[:2], 2)
    assert above(figure) == [["ant (0.90)"], ["bee (1.00)"]]


def test_pixels_are_drawn_from_black_to_white_as_its_pixels_say() -> None:
    figure = figures.plot_class_patterns([("ant", 0.9)], PATTERNS[1:2], 1)
    (shown,) = images(figure)
    assert (shown.get_clim(), np.asarray(shown.get_array()).tolist()) == ((0, 255), [[93, 116], [139, 162]])
