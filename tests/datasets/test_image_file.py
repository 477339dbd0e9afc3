"""Image files that a user names: read like those of a folder, and refused with a sentence when they are not images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.datasets.image_file import read_image
from src.errors import DataError

PIXELS = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)


def saved(path: Path, pixels: np.ndarray = PIXELS, **settings: Any) -> Path:
    Image.fromarray(pixels).save(path, **settings)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif"])
def test_an_image_of_the_right_size_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    image = read_image(saved(tmp_path / name), 4, 6, 1)
    assert (image.pixels.dtype.name, image.size) == ("uint8", (4, 6))
    assert image.pixels.tolist() == PIXELS[..., np.newaxis].tolist()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(9, 5), (9, 5, 3)])
def test_it_is_stretched_and_has_the_channels_of_the_model(
    tmp_path: Path, shape: tuple[int, ...], channels: int
) -> None:
    image = read_image(saved(tmp_path / "a.png", np.full(shape, 200, np.uint8)), 7, 8, channels)
    assert image.size == (9, 5)
    assert image.pixels.shape == (7, 8, channels)
    assert np.unique(image.pixels).tolist() == [200]


@pytest.mark.parametrize(("orientation", "size"), [(1, (400, 600)), (3, (400, 600)), (6, (600, 400)), (8, (600, 400))])
def test_its_size_is_that_of_the_upright_image(tmp_path: Path, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.jpg", np.zeros((400, 600), np.uint8), exif=exif)  # decoded at an eighth of its size
    assert read_image(path, 6, 4, 1).size == size


def unreadable(folder: Path) -> dict[str, Path]:
    text, cut, deep = folder / "text.png", folder / "cut.png", folder / "deep.png"
    text.write_text("not an image")
    cut.write_bytes(saved(folder / "whole.png").read_bytes()[:-30])
    saved(deep, PIXELS.astype(np.uint16))
    return {"text": text, "cut": cut, "deep": deep, "folder": folder, "missing": folder / "gone.png"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("text", "not an image of a known format"),
        ("cut", "truncated or damaged"),
        ("deep", "16 bits per channel"),
        ("folder", "cannot be read"),
        ("missing", "cannot be read"),
    ],
)
def test_a_file_that_a_folder_would_skip_is_named_with_the_reason(tmp_path: Path, kind: str, reason: str) -> None:
    path = unreadable(tmp_path)[kind]
    with pytest.raises(DataError) as refused:
        read_image(path, 4, 6, 1)
    sentence = f"{path} is not an image that can be read ({reason}); give an undamaged PNG, JPEG, BMP, GIF, WEBP file"
    assert str(refused.value) == sentence


def test_an_image_that_would_use_up_the_memory_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 23)
    with pytest.raises(DataError, match=r"a\.png has more than 23 pixels; make the image smaller"):
        read_image(saved(tmp_path / "a.png"), 4, 6, 1)
