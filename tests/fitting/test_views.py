"""Test-time augmentation: which views an image has, and that their probabilities are averaged."""

import numpy as np
import pytest

from src.fitting import averaged_probabilities, probabilities
from src.fitting.views import views_of
from tests.support.training import ready

PICTURE = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5, 1)


def test_an_image_is_shifted_in_four_directions_and_its_edges_are_repeated() -> None:
    whole, up, down, left, right = (view[0, ..., 0] for view in views_of(PICTURE, flips=False))
    np.testing.assert_array_equal(whole, PICTURE[0, ..., 0])
    np.testing.assert_array_equal(up, whole[[1, 2, 3, 3]])
    np.testing.assert_array_equal(down, whole[[0, 0, 1, 2]])
    np.testing.assert_array_equal(left, whole[:, [1, 2, 3, 4, 4]])
    np.testing.assert_array_equal(right, whole[:, [0, 0, 1, 2, 3]])


def test_each_view_is_mirrored_too_if_that_is_asked_for() -> None:
    plain, both = (list(views_of(PICTURE, flips)) for flips in (False, True))
    assert len(both) == 2 * len(plain)
    for view, same, mirrored in zip(plain, both[::2], both[1::2], strict=True):
        np.testing.assert_array_equal(same, view)
        np.testing.assert_array_equal(mirrored, view[:, :, ::-1])


def test_a_large_image_is_shifted_by_the_same_share_of_its_side() -> None:
    image = np.arange(100, dtype=np.uint8)[None, :, None, None].repeat(2, axis=2)
    up = list(views_of(image, flips=False))[1]
    assert up[0, 0, 0, 0] == 4


@pytest.mark.parametrize("flips", [False, True])
def test_the_probabilities_are_the_mean_of_those_of_the_views(flips: bool) -> None:
    model, dataset, _ = ready()
    images = dataset.test.images  # more than one scored batch
    expected = np.mean([probabilities(model, view) for view in views_of(images, flips)], axis=0)
    found = averaged_probabilities(model, images, flips)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - probabilities(model, images)).max() > 1e-3


def test_no_images_have_no_probabilities() -> None:
    model, dataset, _ = ready()
    assert averaged_probabilities(model, dataset.test.images[:0], flips=True).shape == (0, 10)
