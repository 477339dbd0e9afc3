"""Frames of a film: an image's feature maps, and wrong predictions."""

import numpy as np
import pytest

from src.figures import Mistake, maps_frame, mistakes_frame
from src.figures.frames import COLORS, GAP, ROWS, SIDE

IMAGE = np.full((28, 28, 1), 200, np.uint8)


def maps(count: int, side: int = 12, channels: int = 3) -> list[tuple[str, np.ndarray]]:
    values = np.linspace(0, 1, side * side * channels, dtype=np.float32).reshape(side, side, channels)
    return [(f"conv_{number}", values) for number in range(count)]


def test_each_map_is_drawn_from_the_dark_color_for_low_to_yellow_for_high() -> None:
    found = maps_frame(IMAGE, maps(1)).reshape(-1, 3)
    for color in (COLORS[0], COLORS[-1]):
        assert (np.abs(found - color).max(axis=1) < 2).any()


def test_the_image_is_the_first_cell() -> None:
    assert (maps_frame(IMAGE, maps(1))[40, 30] == 200).all()


@pytest.mark.parametrize("count", [1, 2, ROWS, ROWS + 1, 53])
def test_a_deep_network_has_as_tall_a_picture_as_one_with_a_few_convolutions(count: int) -> None:
    expected = maps_frame(IMAGE, maps(min(count, ROWS))).shape
    assert maps_frame(IMAGE, maps(count)).shape == expected


def test_a_map_with_one_value_everywhere_can_be_drawn() -> None:
    assert maps_frame(IMAGE, [("conv", np.zeros((5, 5, 1), np.float32))]).dtype == np.uint8


@pytest.mark.parametrize("shape", [(28, 28, 1), (224, 224, 3), (10, 300, 3), (300, 10, 1)])
def test_images_of_all_shapes_fit_into_their_cells(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 77, np.uint8)
    cell = mistakes_frame([Mistake(image, "cat", "dog", 0.9)], 10)[:, GAP : GAP + SIDE]
    height, width = (round(side * SIDE / max(shape[:2])) for side in shape[:2])
    assert (cell == 77).all(axis=-1).sum() == pytest.approx(height * width, abs=5)  # some of the text is as gray


def test_the_frames_of_a_film_have_one_size() -> None:
    mistake = Mistake(IMAGE, "a name that is far too long for a cell", "\N{SNOWMAN}", 0.99)
    sizes = {mistakes_frame([mistake] * count, 100).shape for count in (0, 1, 9, 16, 100)}
    assert len(sizes) == 1
