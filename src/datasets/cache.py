"""Decoded images on disk: each file is decoded once, by several threads, into one array that can be mapped.

A folder's name is a digest of everything that the pixels in it depend on, so its content is never out of date. The
folder appears under that name when it is complete, and a lock prevents several processes from doing the same work. A
checksum next to each array is compared before the array is used. An array that a disk or another program has changed is
written again.
"""

import hashlib
import itertools
import json
import math
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
import psutil
from filelock import FileLock, Timeout

from src.datasets.arrays import CONVERTED, SKIPPED, BadFile, Images
from src.datasets.download import lock_of
from src.datasets.images import BadImage, ImageBytes, Picture, decode, enforce_pixel_limit
from src.datasets.listing import ImageFile
from src.errors import DataError
from src.places import local_path
from src.process.machine import cores
from src.schema import PicturesConfig
from src.writing import remove, replacing

MAX_MEMORY_SHARE = 1 / 8  # of the free memory: larger arrays stay on disk, because TensorFlow copies those in memory
BATCH_BYTES = 32 * 2**20  # of decoded images that are copied together
# A thread decodes several images in a row, because handing over each small one takes time too.
MAX_TASK_IMAGES = 16
TASK_BYTES = 2**20  # of the decoded images of one task
MAX_AHEAD = 4  # tasks per core whose images wait to be written
CHUNK_BYTES = 2**18  # of a file that are summed at once: they fit into the cache of a core
KEY = re.compile(r"[0-9a-f]{32}")  # the name of a folder in the cache
IMAGES, BAD = "images.npy", "bad.json"

Content = TypeVar("Content")
Item = TypeVar("Item")
Sources = Callable[[], Iterable[Path | ImageBytes]]


def decoded_images(
    config: PicturesConfig, files: Sequence[ImageFile], sources: Sources, origin: str = ""
) -> tuple[Images, list[BadFile]]:
    """Return the images of the files, decoded now or earlier, and the files that were skipped or converted.

    Args:
        config: how images are resized, and the folder of the cache.
        files: the images.
        sources: called to decode them; returns the path or the content of each, in the same order.
        origin: what else the pixels depend on, such as the name of a column.

    Returns:
        uint8, (files, height, width, channels), mapped from disk, in the order of the files without the skipped ones;
        and the files that were skipped or converted.

    Raises:
        DataError: the cache cannot be written.
    """
    folder = local_path(config.cache_dir) / _key(config, files, origin)

    def read() -> tuple[Images, list[BadFile]] | None:
        if not _is_unchanged(folder / IMAGES, folder / BAD):
            return None
        try:
            images, bad = _map(folder / IMAGES), [BadFile(*pair) for pair in json.loads((folder / BAD).read_text())]
        except (OSError, EOFError, ValueError, TypeError):  # the checksum matches, but was made from damaged files
            return None
        count = len(files) - sum(file.result == SKIPPED for file in bad)
        return (images, bad) if images.shape == (count, *config.input_shape) else None

    return _read_or_write(folder, read, partial(_decode_into, config, files, sources))


def reorder(images: Images, order: npt.NDArray[np.int64]) -> Images:
    """Return the images in another order: in memory if they are few, else mapped from a second file.

    Args:
        images: as `decoded_images` or this function returns them, or the first of them.
        order: the index in `images` of each image of the result.
    """
    size = images[0].nbytes
    if not isinstance(images, np.memmap) or len(order) * size <= MAX_MEMORY_SHARE * psutil.virtual_memory().available:
        return np.asarray(images[order])
    source = Path(str(images.filename))
    name = "" if source.name == IMAGES else source.name  # a file that is itself in another order
    digest = hashlib.sha256(name.encode() + order.tobytes()).hexdigest()[:16]
    path = source.with_name(f"arranged-{digest}.npy")

    shape = (len(order), *images.shape[1:])

    def read() -> Images | None:
        found = _map(path) if _is_unchanged(path) else None
        return found if found is not None and found.shape == shape else None

    def write(part: Path) -> None:
        with part.open("wb") as file:
            _write_header(file, shape)
            for start in range(0, len(order), _batch_size(size)):
                file.write(images[order[start : start + _batch_size(size)]].tobytes())
        _checksum_file(path).write_text(_checksum(part))  # before the array gets its name, so that every array has one

    return _read_or_write(path, read, write)


def cached_folders(cache: Path) -> list[Path]:
    """Return the folders of decoded images in the cache, which need not exist."""
    return sorted(path for path in cache.glob("*") if KEY.fullmatch(path.name) and path.is_dir())


def remove_cached(folder: Path) -> None:
    """Remove a folder of decoded images. A process that has mapped them can read them to its end.

    Raises:
        DataError: a process is writing the folder.
    """
    try:
        with FileLock(lock_of(folder), blocking=False):
            remove(folder)
    except Timeout as error:
        raise DataError(f"a process is writing {folder}; try again later") from error


def _key(config: PicturesConfig, files: Sequence[ImageFile], origin: str) -> str:
    """Return a digest of everything that the pixels depend on: the files, the resizing, and the version of Pillow."""
    sha = hashlib.sha256(repr((config.input_shape, config.resize, PIL.__version__)).encode() + origin.encode())
    if config.converts:
        sha.update(CONVERTED.encode())
    for file in files:
        sha.update(repr((file.path, file.size, file.changed)).encode())
    return sha.hexdigest()[:32]


def _read_or_write(target: Path, read: Callable[[], Content | None], write: Callable[[Path], None]) -> Content:
    """Return what `read` returns. When that is None, call `write` with a temporary path, rename it, and read again.

    Raises:
        DataError: the target cannot be written, or does not read back.
    """
    if (found := read()) is not None:
        return found
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_of(target)):
            if (found := read()) is not None:  # another process has written it meanwhile
                return found
            remove(target)  # it is damaged, and its space may be needed
            with replacing(target) as part:
                write(part)
            found = read()
    except OSError as error:
        damaged = ", where the existing ones are damaged" if target.exists() else ""
        raise DataError(
            f"cannot write decoded images to {target.parent}{damaged}: {error.strerror or error}; set "
            "dataset.cache_dir to a writable folder with enough space"
        ) from error
    if found is None:
        raise DataError(
            f"decoded images read back from {target.parent} differ from what was written; check the disk, or set "
            "dataset.cache_dir to a folder on another one"
        )
    return found


def _decode_into(config: PicturesConfig, files: Sequence[ImageFile], sources: Sources, part: Path) -> None:
    """Write the images one after the other, not through a mapping: then a full disk is an error and not a crash."""
    shape = config.input_shape
    part.mkdir()
    _check_room(config, part, len(files) * math.prod(shape))
    bad: list[BadFile] = []
    count = 0
    # One thread more than there are cores decodes while another one waits for Python's lock.
    with (part / IMAGES).open("wb") as array, enforce_pixel_limit(), ThreadPoolExecutor(cores() + 1) as threads:
        _write_header(array, (len(files), *shape))
        read = partial(_read_all, config)
        parts = _in_parts(sources(), max(1, min(MAX_TASK_IMAGES, TASK_BYTES // math.prod(shape))))
        found = itertools.chain.from_iterable(_in_order(threads, read, parts))
        for file, image in zip(files, found, strict=True):
            if isinstance(image, str):
                bad.append(BadFile(file.path, image))
                continue
            count += 1
            array.write(image.pixels.data)
            if image.converted:
                bad.append(BadFile(file.path, image.converted, CONVERTED))
        array.seek(0)
        _write_header(array, (count, *shape))
    (part / BAD).write_text(json.dumps([file[:2] if file.result == SKIPPED else file for file in bad]))
    _checksum_file(part / IMAGES).write_text(_checksum(part / IMAGES, part / BAD))


def _check_room(config: PicturesConfig, part: Path, needed: int) -> None:
    """Raise DataError if a disk has less free space than this many bytes: filling it would take a while first."""
    free = psutil.disk_usage(str(part)).free
    if needed > free:
        height, width, _ = config.input_shape
        raise DataError(
            f"the decoded images take {needed / 1e9:,.1f} GB with dataset.image_size=[{height},{width}], and "
            f"{part.parent} has {free / 1e9:,.1f} GB free; set a smaller size, or dataset.cache_dir to a folder with "
            "enough space"
        )


def _in_parts(sources: Iterable[Path | ImageBytes], size: int) -> Iterator[list[Path | ImageBytes]]:
    waiting = iter(sources)
    while part := list(itertools.islice(waiting, size)):
        yield part


def _in_order(threads: Executor, work: Callable[[Item], Content], items: Iterable[Item]) -> Iterator[Content]:
    """Yield the result for each item in their order, while threads work on the next `MAX_AHEAD` items per core."""
    ahead: deque[Future[Content]] = deque()
    for item in items:
        ahead.append(threads.submit(work, item))
        if len(ahead) > MAX_AHEAD * cores():
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _read_all(config: PicturesConfig, sources: Sequence[Path | ImageBytes]) -> list[Picture | str]:
    return [_read_or_reason(config, source) for source in sources]


def _read_or_reason(config: PicturesConfig, source: Path | ImageBytes) -> Picture | str:
    try:
        return decode(source, *config.input_shape, config.resize, config.converts)
    except BadImage as bad:
        return str(bad)


def _batch_size(size: int) -> int:
    """Return the number of images of this many bytes that are processed together."""
    return max(cores(), BATCH_BYTES // size)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write an npy header, which NumPy pads so that one for fewer images has the same size."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _map(path: Path) -> Images:
    array: Images = np.load(path, mmap_mode="r")
    return array


def _is_unchanged(array: Path, *others: Path) -> bool:
    """Return whether the array and the other files still match their checksum."""
    try:
        return _checksum_file(array).read_text() == _checksum(array, *others)
    except (OSError, ValueError):
        return False


def _checksum_file(array: Path) -> Path:
    return array.with_name(f"{array.name}.crc32")


def _checksum(*paths: Path) -> str:
    """Return the CRC-32 of the files: much faster than SHA-256, and enough to detect damage, but not forgery."""
    crc, buffer = 0, memoryview(bytearray(CHUNK_BYTES))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                crc = zlib.crc32(buffer[:count], crc)
    return f"{crc:08x}"
