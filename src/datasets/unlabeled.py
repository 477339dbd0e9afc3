"""Images to classify, read in batches from a folder, an image file, or a CSV file of pixels."""

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.datasets.arrays import BadFile, Images
from src.datasets.images import BadImage, decode, enforce_pixel_limit
from src.datasets.listing import list_files
from src.errors import DataError
from src.process.machine import cores

Shape = tuple[int, int, int]


class Batch(NamedTuple):
    """A batch of images in the order in which they are stored.

    Attributes:
        names: a path below the folder, the name of a file, or the number of a row, from 0; one for each image.
        images: uint8, (n, height, width, channels), 0-255.
        bad_files: the files among them that are not usable images.
    """

    names: list[str]
    images: Images
    bad_files: list[BadFile]


class Unlabeled(NamedTuple):
    """An upper bound for the number of images, and the batches."""

    total: int
    batches: Iterator[Batch]


def read_unlabeled(place: Path, shape: Shape, resize: str, batch_size: int, convert: bool = False) -> Unlabeled:
    """Return the images of a folder with its subfolders, of one file, or of a CSV file with a row of pixels for each.

    Only one batch and the next are in memory at a time.

    Args:
        place: the folder or file.
        shape: height, width and channels of the model's input; images in files are resized to it.
        resize: how they are resized: `crop`, `pad` or `stretch`.
        batch_size: maximum number of images in a batch.
        convert: convert images where needed, see `decode`.

    Raises:
        DataError: the folder or file does not exist, cannot be read, has no image, or a row does not contain pixels.
    """
    try:
        return _read(place, lambda path: decode(path, *shape, resize, convert).pixels, shape, batch_size)
    except OSError as error:
        raise DataError(
            f"{place} cannot be read: {error.strerror or error}; make it readable, or name another one"
        ) from error


def _read(place: Path, read: Callable[[Path], Images], shape: Shape, batch_size: int) -> Unlabeled:
    if place.is_dir():
        listing = list_files(place)
        if not listing.files and not listing.bad_files:
            raise DataError(f"there is no image file in {place}; give a folder of images, or a CSV file of pixels")
        paths = [file.path for file in listing.files]
        return Unlabeled(len(paths), _from_files(place, paths, listing.bad_files, read, shape, batch_size))
    if not place.is_file():
        raise DataError(f"{place} does not exist; give a folder of images, an image file, or a CSV file of pixels")
    if place.suffix.lower() == ".csv":
        with place.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
        return Unlabeled(lines + 1, _from_rows(place, shape, batch_size))
    return Unlabeled(1, _from_files(place.parent, [place.name], [], read, shape, batch_size))


def _from_files(
    folder: Path,
    paths: Sequence[str],
    bad: Sequence[BadFile],
    read: Callable[[Path], Images],
    shape: Shape,
    batch_size: int,
) -> Iterator[Batch]:
    def read_or_reason(path: str) -> Images | BadFile:
        try:
            return read(folder / path)
        except BadImage as reason:
            return BadFile(path, str(reason))

    def start_reading(group: Sequence[str]) -> Iterator[Images | BadFile]:
        return threads.map(read_or_reason, group)

    if bad:
        yield Batch([], np.empty((0, *shape), np.uint8), list(bad))
    groups = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    with enforce_pixel_limit(), ThreadPoolExecutor(cores()) as threads:
        ahead = [start_reading(group) for group in groups[:1]]
        for group, following in itertools.zip_longest(groups, groups[1:]):
            ahead += [start_reading(following)] if following else []  # decoded while this batch is classified
            found = dict(zip(group, ahead.pop(0), strict=True))
            images = {path: image for path, image in found.items() if not isinstance(image, BadFile)}
            stacked = np.stack(list(images.values())) if images else np.empty((0, *shape), np.uint8)
            yield Batch(list(images), stacked, [image for image in found.values() if isinstance(image, BadFile)])


def _from_rows(file: Path, shape: Shape, batch_size: int) -> Iterator[Batch]:
    """Yield the images of a CSV file, one per line: pixels row by row, channels last; a column `label` is skipped.

    The first line is a header when it has a column `label` or no number at all. So one bad value does not make a line
    of pixels a header.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rows = csv.reader(opened)
            first = next(rows, [])
            label = first.index("label") if "label" in first else None
            has_header = label is not None or not any(_is_number(cell) for cell in first)
            numbered = enumerate(rows if has_header else itertools.chain([first], rows))
            while group := list(itertools.islice(numbered, batch_size)):
                pixels = [_pixels(file, number + 1 + has_header, row, label, shape) for number, row in group if row]
                names = [str(number) for number, row in group if row]
                yield Batch(names, np.array(pixels, np.uint8).reshape(-1, *shape), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is not a CSV file of pixels: {error}") from error


def _pixels(file: Path, line: int, row: list[str], label: int | None, shape: Shape) -> list[int]:
    cells = row if label is None else row[:label] + row[label + 1 :]
    height, width, channels = shape
    if len(cells) != height * width * channels:
        raise DataError(
            f"line {line} of {file} has {len(cells)} values; the model needs {height}x{width}x{channels} = "
            f"{height * width * channels} (a column `label` is skipped when the first line names it)"
        )
    try:
        pixels = [int(cell) for cell in cells]
    except ValueError as error:
        raise DataError(f"line {line} of {file}: {error}; pixels are integers from 0 to 255") from error
    if min(pixels) < 0 or max(pixels) > 255:
        raise DataError(
            f"line {line} of {file} has values from {min(pixels)} to {max(pixels)}; pixels are from 0 to 255"
        )
    return pixels


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
