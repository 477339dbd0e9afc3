"""The headers of a data set's image files: size, color mode and format, without decoding the images."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags, Image

from src.datasets.images import SUFFIXES, TURNED, ImageBytes, enforce_pixel_limit
from src.process.machine import cores
from src.schema import DatasetConfig, load_name

BATCH = 256  # files that are given to the threads at once; those inside a Parquet file are in memory


class Header(NamedTuple):
    """The header of an image file.

    Attributes:
        height, width: of the upright image, in pixels.
        mode: of its colors, as Pillow names it: `L` for grayscale, `RGB`, `RGBA`, `P` for a palette.
        format: `PNG`, `JPEG`, `BMP`, `GIF` or `WEBP`.
    """

    height: int
    width: int
    mode: str
    format: str


def read_headers(config: DatasetConfig) -> list[Header]:
    """Return the header of each image file that can be opened; none for data that is not read from image files.

    Raises:
        DataError: the data is missing, or cannot be right.
    """
    if not config.opens:
        return []
    sources: Iterable[Path | ImageBytes] = load_name(config.opens)(config)
    waiting, headers = iter(sources), []
    with enforce_pixel_limit(), ThreadPoolExecutor(cores()) as threads:
        while batch := list(itertools.islice(waiting, BATCH)):
            headers += [header for header in threads.map(read_header, batch) if header is not None]
    return headers


def read_header(source: Path | ImageBytes) -> Header | None:
    """Return the header of an image file, None if it cannot be opened. Call it inside `enforce_pixel_limit()`."""
    try:
        with source.open("rb") as file, Image.open(file, formats=list(SUFFIXES)) as image:
            # Of other formats, Pillow would decode the whole image to look for an orientation, and few have one.
            is_turned = "exif" in image.info and image.getexif().get(ExifTags.Base.Orientation) in TURNED
            height, width = (image.width, image.height) if is_turned else (image.height, image.width)
            # Phones append a preview to a photograph. Pillow calls such a JPEG an MPO.
            return Header(height, width, image.mode, "JPEG" if image.format == "MPO" else str(image.format))
    except Exception:  # a damaged file makes Pillow raise almost any error; the data set lists it as a bad file
        return None
