"""Pictures as arrays: noise in little memory, and files of all kinds."""

from pathlib import Path

import numpy as np
import pytest

from src.art import pictures
from tests.support.art import peak_memory, put_kinds


def test_noise_drawn_row_by_row_equals_noise_drawn_at_once() -> None:
    expected = np.random.default_rng(3).normal(0.5, pictures.NOISE, (40, 30, 3)).clip(0, 1).astype(np.float32)
    np.testing.assert_array_equal(pictures.noise(40, 30, 3, seed=3), expected)


def test_noise_needs_little_more_memory_than_its_picture() -> None:
    assert peak_memory(lambda: pictures.noise(400, 400, 3, seed=3)) < 1.2 * 4 * 400 * 400 * 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["rgba", "16_bits", "gray", "turned"])
def test_a_picture_of_any_kind_is_read_upright_on_white_with_8_bits_and_the_channels_of_the_network(
    kind: str, channels: int, tmp_path: Path
) -> None:
    found = pictures.read_picture(str(put_kinds(tmp_path)[kind]), 512, channels)
    expected = np.ones((30, 40, channels))
    expected[:, :20] = 0.2
    np.testing.assert_allclose(found, expected, atol=0.03 if kind == "turned" else 1e-6)  # a JPEG is not exact


def test_the_size_of_a_turned_picture_is_that_of_the_upright_one(tmp_path: Path) -> None:
    turned = str(put_kinds(tmp_path)["turned"])
    assert pictures.picture_size(turned, 512) == (30, 40)
    assert pictures.picture_size(turned, 20) == (15, 20)
