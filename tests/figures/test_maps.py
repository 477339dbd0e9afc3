"""Feature maps: which channels are shown, on which page."""

import numpy as np
import pytest

from src import figures
from tests.support.figures import GRAY, above, places, texts, values

CALM, LIVELY, WILD = np.zeros((2, 2)), np.eye(2), 5 * np.eye(2)


def test_the_maps_that_vary_most_come_first_and_equal_ones_in_their_order() -> None:
    ((row,),) = figures.feature_maps_data([("conv", np.stack([CALM, LIVELY, WILD, LIVELY], axis=-1))])
    assert (row.layer, row.shape, row.channels) == ("conv", (2, 2, 4), [2, 1, 3, 0])
    assert row.maps.tolist() == np.stack([WILD, LIVELY, LIVELY, CALM]).tolist()


def test_of_many_maps_eight_are_shown() -> None:
    ((row,),) = figures.feature_maps_data([("conv", np.zeros((3, 5, 20)))])
    assert (row.shape, row.maps.shape) == ((3, 5, 20), (8, 3, 5))


@pytest.mark.parametrize(("convolutions", "pages"), [(0, []), (1, [1]), (12, [12]), (53, [12, 12, 12, 12, 5])])
def test_every_convolution_is_on_a_page_a_dozen_on_each(convolutions: int, pages: list[int]) -> None:
    layers = [(f"conv_{index}", np.zeros((2, 2, 1))) for index in range(convolutions)]
    drawn = figures.feature_maps_data(layers)
    assert [len(page) for page in drawn] == pages
    assert [row.layer for page in drawn for row in page] == [name for name, _ in layers]


def test_a_row_has_the_layers_name_and_size_and_each_map_its_channel() -> None:
    (page,) = figures.feature_maps_data([("conv", np.stack([CALM, WILD], axis=-1))])
    figure = figures.plot_feature_maps(page, GRAY[0], "a digit")
    assert values(figure) == [GRAY[0, ..., 0].tolist(), WILD.tolist(), CALM.tolist()]
    assert texts(figure.axes[0])[1:] == ["conv  2x2x2", "1", "0"]
    assert places(figure) == [(0, 0), (1, 0), (1, 1)]
    assert above(figure) == [[], ["1"], ["0"]]
