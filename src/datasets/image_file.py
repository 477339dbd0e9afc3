"""One image from a file that somebody brings along: read and checked as those of a folder are."""

from pathlib import Path

from PIL import Image

from src.datasets.images import SUFFIXES, TOO_LARGE, BadImage, Picture, bombs_refused, decode
from src.errors import DataError


def read_image(path: Path, height: int, width: int, channels: int, resize: str = "stretch") -> Picture:
    """The image of a file, upright as its camera says, resized and in grey or RGB as a model takes it.

    Args:
        path: the file.
        height, width, channels: of the model's images.
        resize: how the images that the model was trained on were brought to their size: `crop`, `pad` or `stretch`.

    Raises:
        DataError: what a folder of images would leave out: an unknown format, a damaged file, too many pixels.
    """
    try:
        with bombs_refused():
            return decode(path, height, width, channels, resize)
    except BadImage as bad:
        if str(bad) == TOO_LARGE:
            raise DataError(f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller") from bad
        raise DataError(
            f"{path} is not an image that can be read ({bad}); give a whole {', '.join(SUFFIXES)} file"
        ) from bad
