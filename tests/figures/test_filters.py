"""Filters: one scale for all, color for three channels."""

import numpy as np

from src import figures
from tests.support.figures import images, values


def test_filters_share_one_scale_with_zero_in_its_middle() -> None:
    filters = np.array([[[[1.0, 2.0]]], [[[-3.0, -3.0]]]])
    figure = figures.plot_filters(filters, "conv")
    assert values(figure) == [[[1.5]], [[-3.0]]]
    assert [image.get_clim() for image in images(figure)] == [(-3, 3), (-3, 3)]


def test_filters_of_color_images_are_in_color_with_zero_as_gray() -> None:
    kernels = np.array([[[[0.0, 2.0, -2.0]]], [[[1.0, 0.0, 0.0]]]])
    assert values(figures.plot_filters(kernels, "conv")) == [[[[0.5, 1.0, 0.0]]], [[[0.75, 0.5, 0.5]]]]
