"""One image from a file that somebody brings along."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from src.datasets.arrays import Images
from src.datasets.images import opaque, resized
from src.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
MOST_PIXELS = 50_000_000


class ImageFile(NamedTuple):
    """Pixels, uint8, (height, width, channels), 0-255; and the height and width that the file has."""

    pixels: Images
    size: tuple[int, int]


def read_image(path: Path, height: int, width: int, channels: int, resize: str = "stretch") -> ImageFile:
    """The image of a file, upright as its camera says, resized and in grey or RGB as a model takes it.

    Args:
        path: the file.
        height, width, channels: of the model's images.
        resize: how the images that the model was trained on were brought to their size: `crop`, `pad` or `stretch`.

    Raises:
        DataError: no image in one of the `FORMATS`, a damaged one, or one with more than `MOST_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            with Image.open(path, formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise DataError(
                        f"{path} has {opened.width}x{opened.height} pixels, more than {MOST_PIXELS:,}; make it smaller"
                    )
                upright = opaque(ImageOps.exif_transpose(opened)).convert("L" if channels == 1 else "RGB")
    except DataError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise DataError(
            f"{path} is not an image that can be read ({error}); give a whole {', '.join(FORMATS)} file"
        ) from error
    pixels = np.asarray(resized(upright, (width, height), resize), np.uint8).reshape(height, width, channels)
    return ImageFile(pixels, (upright.height, upright.width))
