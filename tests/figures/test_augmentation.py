"""The picture of augmented images: each beside its own versions."""

import numpy as np

from src import figures
from tests.figures.conftest import GRAY, png, visible


def test_each_row_is_an_image_and_its_versions() -> None:
    versions = np.stack([GRAY + 1, GRAY + 2], axis=1)
    figure = figures.plot_augmentation(GRAY, versions, "light")
    cells = [axes.images[0].get_array().tolist() for axes in visible(figure)]
    expected = [image[..., 0].tolist() for row in range(3) for image in (GRAY[row], *versions[row])]
    assert cells == expected
    assert png(figure)
