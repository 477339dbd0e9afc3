"""Images to be classified: from a folder, from one file, or from a CSV file of pixels, a batch at a time."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.datasets.arrays import BadFile, Images
from src.datasets.images import BadImage, bombs_refused, decode
from src.datasets.listing import list_files
from src.errors import DataError
from src.process.machine import cores

Shape = tuple[int, int, int]


class Batch(NamedTuple):
    """Some images in the order of their source.

    Attributes:
        names: a path below the folder, a file's name, or a row's number counted from 0; one for each image.
        images: uint8, (n, height, width, channels), 0-255.
        bad_files: what came in between and is no usable image.
    """

    names: list[str]
    images: Images
    bad_files: list[BadFile]


class Unlabelled(NamedTuple):
    """How many images there are at most, and the batches that bring them."""

    total: int
    batches: Iterator[Batch]


def read_unlabelled(place: Path, shape: Shape, resize: str, batch_size: int) -> Unlabelled:
    """The images of a folder and all below it, of one file, or of a CSV file with a row of pixels for each.

    Only one batch and the next are in memory at a time.

    Args:
        place: the folder or file.
        shape: height, width and channels that the model takes; files are brought to them.
        resize: how: `crop`, `pad` or `stretch`.
        batch_size: at most so many at once.

    Raises:
        DataError: there is no such place, it cannot be read, no image is in it, or a row is not one of pixels.
    """
    try:
        return _read(place, shape, resize, batch_size)
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error.strerror or error}; allow it, or name another") from error


def _read(place: Path, shape: Shape, resize: str, batch_size: int) -> Unlabelled:
    if place.is_dir():
        listing = list_files(place)
        if not listing.files and not listing.bad_files:
            raise DataError(f"there is no image file in {place}; give a folder of images, or a CSV file of pixels")
        paths = [file.path for file in listing.files]
        read = _from_files(place, paths, listing.bad_files, shape, resize, batch_size)
        return Unlabelled(len(paths), read)
    if not place.is_file():
        raise DataError(f"there is no {place}; give a folder of images, an image file, or a CSV file of pixels")
    if place.suffix.lower() == ".csv":
        with place.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
        return Unlabelled(lines + 1, _from_rows(place, shape, batch_size))
    return Unlabelled(1, _from_files(place.parent, [place.name], [], shape, resize, batch_size))


def _from_files(
    folder: Path, paths: Sequence[str], bad: Sequence[BadFile], shape: Shape, resize: str, batch_size: int
) -> Iterator[Batch]:
    def read(path: str) -> Images | BadFile:
        try:
            return decode(folder / path, *shape, resize).pixels
        except BadImage as reason:
            return BadFile(path, str(reason))

    def begun(group: Sequence[str]) -> Iterator[Images | BadFile]:
        return threads.map(read, group)

    if bad:
        yield Batch([], np.empty((0, *shape), np.uint8), list(bad))
    groups = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    with bombs_refused(), ThreadPoolExecutor(cores()) as threads:
        ahead = [begun(group) for group in groups[:1]]
        for group, following in itertools.zip_longest(groups, groups[1:]):
            ahead += [begun(following)] if following else []  # decoded while this batch is classified
            found = dict(zip(group, ahead.pop(0), strict=True))
            images = {path: image for path, image in found.items() if not isinstance(image, BadFile)}
            stacked = np.stack(list(images.values())) if images else np.empty((0, *shape), np.uint8)
            yield Batch(list(images), stacked, [image for image in found.values() if isinstance(image, BadFile)])


def _from_rows(file: Path, shape: Shape, batch_size: int) -> Iterator[Batch]:
    """A row for each image: pixels row by row, channels last; a column `label` is passed over.

    The first line is a header when it names a column `label`, or holds no number: one bad value makes none of it.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rows = csv.reader(opened)
            first = next(rows, [])
            label = first.index("label") if "label" in first else None
            has_header = label is not None or not any(_is_number(cell) for cell in first)
            numbered = enumerate(rows if has_header else itertools.chain([first], rows))
            while group := list(itertools.islice(numbered, batch_size)):
                pixels = [_pixels(file, at + 1 + has_header, row, label, shape) for at, row in group if row]
                names = [str(at) for at, row in group if row]
                yield Batch(names, np.array(pixels, np.uint8).reshape(-1, *shape), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is not a CSV file of pixels: {error}") from error


def _pixels(file: Path, line: int, row: list[str], label: int | None, shape: Shape) -> list[int]:
    cells = row if label is None else row[:label] + row[label + 1 :]
    height, width, channels = shape
    if len(cells) != height * width * channels:
        raise DataError(
            f"line {line} of {file} has {len(cells)} values; the model takes {height}x{width}x{channels} = "
            f"{height * width * channels} (a column `label` is passed over where the first line names it)"
        )
    try:
        pixels = [int(cell) for cell in cells]
    except ValueError as error:
        raise DataError(f"line {line} of {file}: {error}; pixels are whole numbers from 0 to 255") from error
    if min(pixels) < 0 or max(pixels) > 255:
        raise DataError(
            f"line {line} of {file} has values from {min(pixels)} to {max(pixels)}; pixels go from 0 to 255"
        )
    return pixels


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
