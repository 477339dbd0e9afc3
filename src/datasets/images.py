"""One image file as pixels: its header is checked before anything is decoded."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from src.datasets.arrays import Images

SUFFIXES = {  # of the formats that are read, by Pillow's names
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}
RESAMPLING = Image.Resampling.BILINEAR  # Pillow's takes every pixel into account when it makes an image smaller
TOO_LARGE = "too many pixels"
TURNED = (5, 6, 7, 8)  # what a camera notes when it was held upright: width and height change places
PNG_DEPTH = 24  # the byte of a PNG file that says how many bits a channel has


class Picture(NamedTuple):
    """Pixels, uint8, (height, width, channels), 0-255; and the upright image's height and width in the file."""

    pixels: Images
    size: tuple[int, int]


class BadImage(Exception):
    """A file that is no usable image; the message is the reason, in a few words that files can be counted by."""


@contextmanager
def bombs_refused() -> Iterator[None]:
    """Inside, an image with more than Pillow's limit of pixels is an error; the warnings of its decoders are not shown.

    The filters of warnings belong to the process: this is entered around the threads that decode, not in each.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(path: Path, height: int, width: int, channels: int, resize: str) -> Picture:
    """The file's image, upright, in the size asked for; what is transparent becomes white. Used in `bombs_refused()`.

    Args:
        path: a regular file.
        height, width: of the result, in pixels.
        channels: 1 for grayscale, 3 for RGB.
        resize: `crop` fills the size and cuts what stands over on both sides, `pad` puts black beside the whole image,
            `stretch` changes its proportions.

    Raises:
        BadImage: the file is empty, damaged, too large, or of a kind that is not read.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with path.open("rb") as file:
            image = _opened(file, path.suffix.lower())
            size = (image.height, image.width)
            if image.getexif().get(ExifTags.Base.Orientation) in TURNED:
                size = size[::-1]
            # A JPEG is decoded at a half, a quarter or an eighth of its size where that is still large enough.
            image.draft(mode, (max(height, width), max(height, width)))
            image = _opaque(ImageOps.exif_transpose(image)).convert(mode)
            pixels = np.asarray(_resized(image, (width, height), resize))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(TOO_LARGE) from error
    except BadImage:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise BadImage("cannot be read") from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise whatever they stumble over
        raise BadImage("truncated or damaged") from error
    return Picture(pixels.reshape(height, width, channels), size)


def _opened(file: BinaryIO, suffix: str) -> Image.Image:
    """The image with only its header read, which is of a kind that is read."""
    if os.fstat(file.fileno()).st_size == 0:
        raise BadImage("empty file")
    try:
        image = Image.open(file, formats=list(SUFFIXES))
    except UnidentifiedImageError as error:
        raise BadImage("not an image of a known format") from error
    # Phones put a preview behind the photograph; Pillow calls such a JPEG an MPO, and its pictures frames.
    name = "JPEG" if image.format == "MPO" else str(image.format)
    if suffix not in SUFFIXES[name]:
        raise BadImage("suffix of another format")
    if image.mode == "CMYK":
        raise BadImage("CMYK")
    if image.mode.startswith(("I", "F")) or (name == "PNG" and _byte(file, PNG_DEPTH) == 16):
        raise BadImage("16 bits a channel")
    if name != "JPEG" and getattr(image, "is_animated", False):
        raise BadImage("animated")
    return image


def _byte(file: BinaryIO, position: int) -> int:
    before = file.tell()
    file.seek(position)
    value = file.read(1)[0]
    file.seek(before)
    return value


def _opaque(image: Image.Image) -> Image.Image:
    """The image on white where it is transparent: letters are often black on nothing, and nothing is often black."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _resized(image: Image.Image, size: tuple[int, int], resize: str) -> Image.Image:
    """The image brought to this width and height: `crop`, `pad` or `stretch`, as `decode` says."""
    if resize == "crop":
        return ImageOps.fit(image, size, RESAMPLING)
    if resize == "pad":
        return ImageOps.pad(image, size, RESAMPLING)
    return image.resize(size, RESAMPLING)
