"""The picture of augmented images: each next to its own versions."""

import numpy as np

from src import figures
from tests.support.figures import GRAY, places, png, values


def test_each_row_is_an_image_and_its_versions() -> None:
    versions = np.stack([GRAY + 1, GRAY + 2], axis=1)
    figure = figures.plot_augmentation(GRAY, versions, "light")
    expected = [image[..., 0].tolist() for row in range(3) for image in (GRAY[row], *versions[row])]
    assert values(figure) == expected
    assert places(figure) == [(row, column) for row in range(3) for column in range(3)]
    assert png(figure)
