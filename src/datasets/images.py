"""Image files as pixels. The header of a file is checked before anything is decoded."""

import io
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
TURNED = (5, 6, 7, 8)  # EXIF orientations of a camera that was held upright: width and height are exchanged
PNG_DEPTH = 24  # position of the byte in a PNG file with the number of bits per channel


class Picture(NamedTuple):
    """Pixels, uint8, (height, width, channels), 0-255; and the height and width of the upright image in the file."""

    pixels: Images
    size: tuple[int, int]


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


def decode(source: Path | ImageBytes, height: int, width: int, channels: int, resize: str) -> Picture:
    """Return the image in a file, upright and resized, with transparent pixels made white.

    Call it inside `enforce_pixel_limit()`.

    Args:
        source: a regular file, or the content of one.
        height, width: of the result, in pixels.
        channels: 1 for grayscale, 3 for RGB.
        resize: `crop` fills the size and cuts off the rest on both sides, `pad` adds black borders to the whole image,
            `stretch` changes its proportions.

    Raises:
        BadImage: the file is empty, damaged, too large, or in a format that is not read.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with source.open("rb") as file:
            image = _open(file, source.suffix.lower())
            size = (image.height, image.width)
            if image.getexif().get(ExifTags.Base.Orientation) in TURNED:
                size = size[::-1]
            # A JPEG is decoded at a half, a quarter or an eighth of its size when that is still large enough.
            image.draft(mode, (max(height, width), max(height, width)))
            image = _on_white(ImageOps.exif_transpose(image)).convert(mode)
            pixels = np.asarray(_resize(image, (width, height), resize))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(TOO_LARGE) from error
    except BadImage:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise BadImage("cannot be read") from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise almost any error
        raise BadImage("truncated or damaged") from error
    return Picture(pixels.reshape(height, width, channels), size)


def _open(file: BinaryIO, suffix: str) -> Image.Image:
    """Return the image with only its header read. Without a suffix, any format is right.

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
    if suffix and suffix not in SUFFIXES[name]:
        raise BadImage("suffix of another format")
    if image.mode == "CMYK":
        raise BadImage("CMYK")
    if image.mode.startswith(("I", "F")) or (name == "PNG" and _byte_at(file, PNG_DEPTH) == 16):
        raise BadImage("16 bits per channel")
    if name != "JPEG" and getattr(image, "is_animated", False):
        raise BadImage("animated")
    return image


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
