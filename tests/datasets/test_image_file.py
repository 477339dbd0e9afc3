"""Image files that people bring along: read upright, resized, and refused where they are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.datasets import image_file, images
from src.datasets.image_file import read_image
from src.errors import DataError

PIXELS = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)


def saved(path: Path, pixels: np.ndarray = PIXELS, **settings: Any) -> Path:
    Image.fromarray(pixels).save(path, **settings)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.gif"])
def test_an_image_of_the_right_size_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    image = read_image(saved(tmp_path / name), 4, 6, 1)
    assert (image.pixels.dtype.name, image.size) == ("uint8", (4, 6))
    assert image.pixels.tolist() == PIXELS[..., np.newaxis].tolist()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(9, 5), (9, 5, 3)])
def test_it_is_resized_and_has_the_channels_that_the_model_takes(
    tmp_path: Path, shape: tuple[int, ...], channels: int
) -> None:
    image = read_image(saved(tmp_path / "a.png", np.full(shape, 200, np.uint8)), 7, 8, channels)
    assert image.size == (9, 5)
    assert image.pixels.shape == (7, 8, channels)
    assert np.unique(image.pixels).tolist() == [200]


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    glass = np.zeros((4, 6, 4), np.uint8)
    assert np.unique(read_image(saved(tmp_path / "a.png", glass), 4, 6, 3).pixels).tolist() == [255]


def test_it_stands_as_the_camera_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image = read_image(saved(tmp_path / "a.png", exif=exif), 6, 4, 1)
    assert image.size == (6, 4)
    assert image.pixels[..., 0].tolist() == np.rot90(PIXELS, -1).tolist()


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_it_is_brought_to_size_as_the_pictures_of_a_folder_are(tmp_path: Path, resize: str) -> None:
    path = saved(tmp_path / "a.png", np.arange(0, 240, 2, dtype=np.uint8).reshape(6, 20))
    assert np.array_equal(read_image(path, 6, 6, 1, resize).pixels, images.read_image(path, 6, 6, 1, resize))


def unreadable(folder: Path) -> dict[str, Path]:
    text, cut, pdf = folder / "text.png", folder / "cut.png", folder / "a.pdf"
    text.write_text("not an image")
    cut.write_bytes(saved(folder / "whole.png").read_bytes()[:-30])
    Image.fromarray(PIXELS).save(pdf)
    return {"text": text, "cut": cut, "pdf": pdf, "folder": folder, "missing": folder / "gone.png"}


@pytest.mark.parametrize("kind", ["text", "cut", "pdf", "folder", "missing"])
def test_what_is_no_whole_image_is_named(tmp_path: Path, kind: str) -> None:
    path = unreadable(tmp_path)[kind]
    with pytest.raises(DataError, match=r"is not an image that can be read .* give a whole PNG, JPEG") as refused:
        read_image(path, 4, 6, 1)
    assert str(path) in str(refused.value)


def test_an_image_that_would_fill_the_memory_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_file, "MOST_PIXELS", 23)
    with pytest.raises(DataError, match="has 6x4 pixels, more than 23; make it smaller"):
        read_image(saved(tmp_path / "a.png"), 4, 6, 1)
