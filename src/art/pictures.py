"""Pictures as arrays: read from files, resized, encoded."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from src import datasets
from src.errors import DataError
from src.places import local_path
from src.writing import replacing

Floats = npt.NDArray[np.float32]  # (height, width, channels), 0-1
NOISE = 0.05  # the standard deviation of the noise around gray
JPEG_QUALITY = 95


def check_picture(name: str, key: str) -> None:
    """Raise DataError if a file is missing or not an image; `key` is the setting that names it."""
    path = local_path(name)
    if not path.is_file():
        raise DataError(f"there is no image file {name}; give the path of one: {key}=FILE")
    datasets.image_size(path)


def picture_size(name: str, size: int) -> tuple[int, int]:
    """Return the height and width of the picture that `read_picture` would return, without decoding the file.

    Raises:
        DataError: as `read_picture`.
    """
    return fitted(*datasets.image_size(local_path(name)), size)


def read_picture(name: str, size: int, channels: int) -> Floats:
    """Return the picture in a file, upright, made smaller if its longest side has more pixels than `size`.

    Args:
        name: of the file.
        size: of the longest side, in pixels.
        channels: 1 for grayscale, 3 for RGB.

    Raises:
        DataError: it is not an image that can be read, or has too many pixels.
    """
    height, width = picture_size(name, size)
    pixels = datasets.read_image(local_path(name), height, width, channels, "stretch", convert=True).pixels
    return pixels.astype(np.float32) / np.float32(255)


def fitted(height: int, width: int, size: int) -> tuple[int, int]:
    """Return the height and width of a picture whose longest side has at most `size` pixels."""
    longest = max(height, width)
    if longest <= size:
        return height, width
    return max(1, round(height * size / longest)), max(1, round(width * size / longest))


def noise(height: int, width: int, channels: int, seed: int) -> Floats:
    """Return gray with a little noise, which depends on the seed."""
    random = np.random.default_rng(seed)
    picture = np.empty((height, width, channels), np.float32)
    for row in picture:  # one at a time: random numbers have 64 bits
        row[:] = np.clip(random.normal(0.5, NOISE, row.shape), 0, 1)
    return picture


def to_pixels(picture: Floats) -> npt.NDArray[np.uint8]:
    """Return the picture as uint8, (height, width, channels), 0-255."""
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def encode(pixels: npt.NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """Return the content of a PNG or JPEG file."""
    content = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if suffix.lower() == ".png":
        image.save(content, "PNG")
    else:
        image.save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue()


def write_picture(pixels: npt.NDArray[np.uint8], file: Path) -> None:
    """Write a PNG or JPEG file; raise DataError if that is not possible."""
    try:
        with replacing(file) as part:
            part.write_bytes(encode(pixels, file.suffix))
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror or error}; name another output=") from error


def digest(picture: Floats) -> str:
    """Return the SHA-256 of a picture's size and values."""
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()
