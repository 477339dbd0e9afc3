"""MNIST and its relatives: IDX files or Keras' npz, found, verified by content, and downloaded when they are missing.

An IDX file is a header (two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit
integer) followed by the raw values; see http://yann.lecun.com/exdb/mnist/ as archived.
"""

import gzip
import hashlib
import math
import os
import zipfile
import zlib
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from src.datasets.arrays import Arrays
from src.datasets.digits import load_digits
from src.datasets.download import fetch, lock_of
from src.errors import DataError
from src.places import local_path
from src.schema import IdxConfig

VALIDATION_SIZE = 5_000  # the first training images, the split of the notebooks and of Geron 2019
UNSIGNED_BYTE = 8
MOST_DIMENSIONS = 3
LARGEST = 1 << 30  # bytes in one file, so that a crafted gzip cannot fill the memory
NPZ_KEYS = {"train_images": "x_train", "train_labels": "y_train", "test_images": "x_test", "test_labels": "y_test"}

Array = npt.NDArray[np.uint8]


def load_idx(config: IdxConfig) -> Arrays:
    """The full set, or the digits that stand in for it where `config.source` allows that.

    Raises:
        DataError: the full set was asked for, and is neither on disk nor can be downloaded.
    """
    if config.source == "sample":
        return load_digits([])
    found, damaged = _find(config)
    if found is None:
        try:
            found = _download(config)
        except DataError as error:
            reason = "; ".join([*damaged, str(error)])
            if config.source == "full" or config.sample is None:
                raise DataError(
                    f"{config.name} is neither in {', '.join(config.folders)} nor could it be downloaded: {reason}. "
                    f"Put its four IDX files into {config.folders[0]}, or set DATA_DIR to the folder above it"
                ) from error
            looked = f"the full {config.name} is neither in {', '.join(config.folders)} nor could it be downloaded"
            return load_digits([*damaged, f"{looked}: {error}"])
    return Arrays(
        train_images=found["train_images"][..., np.newaxis],
        train_labels=found["train_labels"],
        test_images=found["test_images"][..., np.newaxis],
        test_labels=found["test_labels"],
        validation_size=VALIDATION_SIZE,
        source="full",
        warnings=damaged,
    )


def read_idx(path: Path) -> Array:
    """The values of one IDX file, gzipped or not: uint8, in the shape that its header gives.

    Raises:
        DataError: not an IDX file of unsigned bytes, or not whole.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(content) > LARGEST:
        raise DataError(f"{path} holds more than {LARGEST:,} bytes")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if dimensions > MOST_DIMENSIONS or len(content) - start != math.prod(shape):
        raise DataError(f"{path} says that it holds {shape} bytes, but holds {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def idx_digest(values: Array) -> str:
    """SHA-256 in hex of the IDX file that would hold these values, so that an npz is held to the same digest."""
    header = bytes([0, 0, UNSIGNED_BYTE, values.ndim]) + b"".join(side.to_bytes(4, "big") for side in values.shape)
    sha = hashlib.sha256(header)
    sha.update(np.ascontiguousarray(values).data)
    return sha.hexdigest()


def _find(config: IdxConfig) -> tuple[dict[str, Array] | None, list[str]]:
    """The four arrays from the first folder that has them whole, and a sentence for each damaged file on the way."""
    damaged: list[str] = []
    for position, folder in enumerate(local_path(folder) for folder in config.folders):
        own = position == 0
        arrays: dict[str, Array] = {}
        for part, file in asdict(config.files).items():
            for path in (folder / f"{file['name']}.gz", folder / file["name"]):
                if part not in arrays and path.is_file():
                    values = _verified(path, partial(read_idx, path), file["sha256"], own, damaged)
                    if values is not None:
                        arrays[part] = values
        if len(arrays) < len(NPZ_KEYS) and config.npz and (folder / config.npz).is_file():
            arrays = _find_in_npz(folder / config.npz, config, own, damaged)
        if len(arrays) == len(NPZ_KEYS):
            return arrays, damaged
    return None, damaged


def _find_in_npz(path: Path, config: IdxConfig, own: bool, damaged: list[str]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for part, file in asdict(config.files).items():
        values = _verified(path, partial(_read_npz, path, NPZ_KEYS[part]), file["sha256"], own, damaged)
        if values is None:
            return {}
        arrays[part] = values
    return arrays


def _read_npz(path: Path, key: str) -> Array:
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            values = np.asarray(archive[key])
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if values.dtype != np.uint8:
        raise DataError(f"{path} holds {key} as {values.dtype}, not as unsigned bytes")
    return values


def _verified(path: Path, read: partial[Array], sha256: str, own: bool, damaged: list[str]) -> Array | None:
    """The values when their content is what it must be. Otherwise notes why not, and sets a file of ours aside."""
    values, problem = _read_and_check(path, read, sha256)
    if problem and own:
        try:
            with FileLock(lock_of(path)):  # another process may have fetched it anew meanwhile
                values, problem = _read_and_check(path, read, sha256)
                if problem and path.exists():
                    os.replace(path, path.with_name(f"{path.name}.damaged"))
                    problem += f"; set aside as {path.name}.damaged"
        except OSError:
            problem = f"{problem}; left where it is, since its folder cannot be written"
    if problem:
        damaged.append(problem)
    return values


def _read_and_check(path: Path, read: partial[Array], sha256: str) -> tuple[Array | None, str | None]:
    try:
        values = read()
    except DataError as error:
        return None, str(error)
    if idx_digest(values) != sha256:
        return None, f"{path} holds other content ({values.shape}) than the published file"
    return values, None


def _download(config: IdxConfig) -> dict[str, Array]:
    arrays = {}
    for part, file in asdict(config.files).items():
        path = fetch(
            f"{file['name']}.gz",
            config.mirrors,
            local_path(config.folders[0]),
            partial(_problem, file["sha256"]),
        )
        arrays[part] = read_idx(path)
    return arrays


def _problem(sha256: str, path: Path) -> str | None:
    try:
        return None if idx_digest(read_idx(path)) == sha256 else "it serves other content than the published file"
    except DataError as error:
        return str(error)
