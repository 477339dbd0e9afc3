"""Image files as pixels. The header of a file is checked before anything is decoded."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from src.datasets.arrays import Images

SUFFIXES = {  # of the formats that are read, under Pillow's names
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}
RESAMPLING = Image.Resampling.BILINEAR  # Pillow's version uses every pixel when it makes an image smaller
TOO_LARGE = "too many pixels"
WRONG_SUFFIX, CMYK, SIXTEEN_BITS, ANIMATED = "suffix of another format", "CMYK", "16 bits per channel", "animated"
CONVERTIBLE = (WRONG_SUFFIX, CMYK, SIXTEEN_BITS, ANIMATED)
MAX_BYTES_IN_MEMORY = 32 * 2**20  # of a file that is read at once
UPRIGHT = 1  # EXIF orientation
TURNED = (5, 6, 7, 8)  # EXIF orientations of a camera that was held upright: width and height are exchanged
BYTES_APART = 257  # 65,535 / 255: a value of 16 bits divided by this is one of 8 bits
PNG_DEPTH = 24  # position of the byte in a PNG file with the number of bits per channel


class Picture(NamedTuple):
    """An image from a file.

    Attributes:
        pixels: uint8, (height, width, channels), 0-255.
        size: the height and width of the upright image in the file.
        converted: the reason why the file is not usable without a conversion, None if it is.
    """

    pixels: Images
    size: tuple[int, int]
    converted: str | None = None


class ImageBytes(NamedTuple):
    """The content of an image file, and its name, which may have no suffix."""

    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        return PurePath(self.name).suffix

    def open(self, mode: str = "rb") -> BinaryIO:
        """Return the content as an open file."""
        return io.BytesIO(self.content)


class BadImage(Exception):
    """A file is not a usable image. The message is one of a few fixed phrases, so that files can be counted by it."""


@contextmanager
def enforce_pixel_limit() -> Iterator[None]:
    """Turn Pillow's warning about images with too many pixels into an error, and hide the warnings of its decoders.

    Filters of warnings belong to the process: enter this around the threads that decode, not in each of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(
    source: Path | ImageBytes, height: int, width: int, channels: int, resize: str, convert: bool = False
) -> Picture:
    """Return the image in a file, upright and resized, with transparent pixels made white.

    Call it inside `enforce_pixel_limit()`.

    Args:
        source: a regular file, or the content of one.
        height, width: of the result, in pixels.
        channels: 1 for grayscale, 3 for RGB.
        resize: `crop` fills the size and cuts off the rest on both sides, `pad` adds black borders to the whole image,
            `stretch` changes its proportions.
        convert: read a file with the suffix of another format too, reduce 16 bits per channel to 8 (65,535 is white),
            turn CMYK into RGB, and take the first image of an animation.

    Raises:
        BadImage: the file is empty, damaged, too large, or in a format that is not read.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with _open_in_memory(source) as file:
            image, unusual = _open(file, source.suffix.lower())
            if unusual and not convert:
                raise BadImage(unusual)
            orientation = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
            size = (image.height, image.width)
            if orientation in TURNED:
                size = size[::-1]
            # A JPEG is decoded at a half, a quarter or an eighth of its size when that is still large enough.
            image.draft(mode, (max(height, width), max(height, width)))
            image = _to_bytes(image)
            image.load()
            # Where nothing changes, Pillow would return copies, which take a tenth of the time for small images.
            if orientation != UPRIGHT:
                image = ImageOps.exif_transpose(image)
            image = _on_white(image)
            if image.mode != mode:
                image = image.convert(mode)
            if image.size != (width, height):
                image = _resize(image, (width, height), resize)
            pixels = np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(TOO_LARGE) from error
    except BadImage:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise BadImage("cannot be read") from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise almost any error
        raise BadImage("truncated or damaged") from error
    return Picture(pixels.reshape(height, width, channels), size, unusual)


def _open_in_memory(source: Path | ImageBytes) -> BinaryIO:
    """Return the file with its content in memory, or on disk if it is large or has no size.

    Every access to a file on disk hands Python's lock to another thread.
    """
    if isinstance(source, ImageBytes):
        return source.open()
    with source.open("rb", buffering=0) as file:
        if 0 < os.fstat(file.fileno()).st_size <= MAX_BYTES_IN_MEMORY:
            return io.BytesIO(file.read())
    return source.open("rb")


def _open(file: BinaryIO, suffix: str) -> tuple[Image.Image, str | None]:
    """Return the image with only its header read, and the reason why it is not usable as it is, if there is one.

    Without a suffix, any format is right.

    Raises:
        BadImage: it is empty, or in a format that is not read.
    """
    if not file.seek(0, io.SEEK_END):
        raise BadImage("empty file")
    file.seek(0)
    try:
        image = Image.open(file, formats=list(SUFFIXES))
    except UnidentifiedImageError as error:
        raise BadImage("not an image of a known format") from error
    # Phones append a preview to a photograph. Pillow calls such a JPEG an MPO, and its pictures frames.
    name = "JPEG" if image.format == "MPO" else str(image.format)
    return image, _unusual(image, file, name, suffix)


def _unusual(image: Image.Image, file: BinaryIO, name: str, suffix: str) -> str | None:
    """Return the reason why an image of the format `name` is usable only after a conversion, or None."""
    if suffix and suffix not in SUFFIXES[name]:
        return WRONG_SUFFIX
    if image.mode == "CMYK":
        return CMYK
    if image.mode.startswith(("I", "F")) or (name == "PNG" and _byte_at(file, PNG_DEPTH) == 16):
        return SIXTEEN_BITS
    if name != "JPEG" and getattr(image, "is_animated", False):
        return ANIMATED
    return None


def _to_bytes(image: Image.Image) -> Image.Image:
    """Return a grayscale image of 16 bits with 8. Pillow does that itself for colors, when it reads them."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.uint32)
    reduced = Image.fromarray(((values + BYTES_APART // 2) // BYTES_APART).astype(np.uint8))
    reduced.info = image.info
    return reduced


def _byte_at(file: BinaryIO, position: int) -> int:
    before = file.tell()
    file.seek(position)
    value = file.read(1)[0]
    file.seek(before)
    return value


def _on_white(image: Image.Image) -> Image.Image:
    """Return the image on white: letters are often black on transparent pixels, which are often black themselves."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _resize(image: Image.Image, size: tuple[int, int], resize: str) -> Image.Image:
    """Return the image in this width and height: `crop`, `pad` or `stretch`, as in `decode`."""
    if resize == "crop":
        return ImageOps.fit(image, size, RESAMPLING)
    if resize == "pad":
        return ImageOps.pad(image, size, RESAMPLING)
    return image.resize(size, RESAMPLING)
