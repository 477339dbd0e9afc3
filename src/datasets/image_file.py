"""One image from a file that a user names, read and checked like those of a folder of images."""

from pathlib import Path

from PIL import Image

from src.datasets.headers import read_header
from src.datasets.images import SUFFIXES, TOO_LARGE, BadImage, ImageBytes, Picture, decode, enforce_pixel_limit
from src.errors import DataError


def read_image(
    source: Path | ImageBytes, height: int, width: int, channels: int, resize: str = "stretch", convert: bool = False
) -> Picture:
    """Return the image in a file, upright, resized, and in grayscale or RGB as the model needs it.

    Args:
        source: the file, or the content of one.
        height, width, channels: the shape of the model's images.
        resize: how the images that the model was trained on were resized: `crop`, `pad` or `stretch`.
        convert: True if the images that it was trained on were converted where needed, see `decode`.

    Raises:
        DataError: a folder of images would skip this file: an unknown format, a damaged file, too many pixels.
    """
    try:
        with enforce_pixel_limit():
            return decode(source, height, width, channels, resize, convert)
    except BadImage as bad:
        name = source.name if isinstance(source, ImageBytes) else source
        if str(bad) == TOO_LARGE:
            raise DataError(f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make the image smaller") from bad
        raise DataError(
            f"{name} is not an image that can be read ({bad}); give an undamaged {', '.join(SUFFIXES)} file"
        ) from bad


def image_size(path: Path) -> tuple[int, int]:
    """Return the height and width of the upright image in a file, of which only the header is read.

    Raises:
        DataError: as `read_image`.
    """
    with enforce_pixel_limit():
        header = read_header(path)
    return (header.height, header.width) if header is not None else read_image(path, 1, 1, 3, convert=True).size
