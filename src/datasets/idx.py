"""MNIST and its relatives: IDX files, or Keras' npz of the same arrays.

An IDX file is a header (two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit
integer) followed by the raw values; see http://yann.lecun.com/exdb/mnist/ as archived.
"""

import gzip
import hashlib
import math
import zipfile
import zlib
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.datasets.arrays import Arrays
from src.datasets.digits import load_digits
from src.datasets.published import Folder, download_file, find_or_download
from src.errors import DataError
from src.schema import IdxConfig

VALIDATION_SIZE = 5_000  # the first training images, the split of the notebooks and of Geron 2019
UNSIGNED_BYTE = 8
MAX_DIMENSIONS = 3
MAX_BYTES = 1 << 30  # in one file, so that a crafted gzip cannot use up the memory
NPZ_KEYS = {"train_images": "x_train", "train_labels": "y_train", "test_images": "x_test", "test_labels": "y_test"}

Array = npt.NDArray[np.uint8]


def load_idx(config: IdxConfig) -> Arrays:
    """Return the full set, or the bundled digits when it cannot be found and `config.source` allows them.

    Raises:
        DataError: the full set is required, is not on disk, and cannot be downloaded.
    """
    if config.source == "sample":
        return load_digits([])
    try:
        arrays, damaged = find_or_download(
            config, partial(_find, config), partial(_download, config), "its four IDX files"
        )
    except DataError as error:
        if config.source == "full" or config.sample is None:
            raise
        return load_digits([str(error)])
    return Arrays(
        train_images=arrays["train_images"][..., np.newaxis],
        train_labels=arrays["train_labels"],
        test_images=arrays["test_images"][..., np.newaxis],
        test_labels=arrays["test_labels"],
        validation_size=VALIDATION_SIZE,
        source="full",
        warnings=damaged,
    )


def read_idx(path: Path) -> Array:
    """Return the values of an IDX file, gzipped or not: uint8, in the shape that its header gives.

    Raises:
        DataError: it is not an IDX file of unsigned bytes, or not a complete one.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path} contains more than {MAX_BYTES:,} bytes")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if dimensions > MAX_DIMENSIONS or len(content) - start != math.prod(shape):
        raise DataError(f"{path} contains {len(content) - start} bytes after its header, expected the shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def idx_digest(values: Array) -> str:
    """Return the SHA-256 in hex of an IDX file with these values, so that an npz is verified by the same digest."""
    header = bytes([0, 0, UNSIGNED_BYTE, values.ndim]) + b"".join(side.to_bytes(4, "big") for side in values.shape)
    sha = hashlib.sha256(header)
    sha.update(np.ascontiguousarray(values).data)
    return sha.hexdigest()


def _find(config: IdxConfig, folder: Folder) -> dict[str, Array] | None:
    """Return the four arrays from a folder's IDX files or from its npz, or None when neither has all of them."""
    arrays: dict[str, Array] = {}
    for part, file in asdict(config.files).items():
        for name in (f"{file['name']}.gz", file["name"]):
            if part not in arrays:
                values = folder.read(name, partial(_read_published, file["sha256"]))
                if values is not None:
                    arrays[part] = values
    if len(arrays) < len(NPZ_KEYS) and config.npz:
        return folder.read(config.npz, partial(_read_npz, config))
    return arrays if len(arrays) == len(NPZ_KEYS) else None


def _download(config: IdxConfig) -> dict[str, Array]:
    return {
        part: download_file(config, f"{file['name']}.gz", partial(_read_published, file["sha256"]))
        for part, file in asdict(config.files).items()
    }


def _read_published(sha256: str, path: Path) -> Array:
    return _checked(path, read_idx(path), sha256)


def _read_npz(config: IdxConfig, path: Path) -> dict[str, Array]:
    arrays = {}
    for part, file in asdict(config.files).items():
        key = NPZ_KEYS[part]
        try:
            with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
                values = np.asarray(archive[key])
        except (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        if values.dtype != np.uint8:
            raise DataError(f"{path} contains {key} as {values.dtype}, not as unsigned bytes")
        arrays[part] = _checked(path, values, file["sha256"])
    return arrays


def _checked(path: Path, values: Array, sha256: str) -> Array:
    if idx_digest(values) != sha256:
        raise DataError(f"{path} differs from the published file")
    return values
