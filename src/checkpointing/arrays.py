"""Files of arrays: in NumPy's format, one after the other, without pickles."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from src.checkpointing.state import Array
from src.errors import CheckpointError
from src.writing import replacing

FILE = re.compile(r"[a-z_]+-([0-9]{5,9})\.npy")
_DTYPE = re.compile(r"[<>|][fiub][0-9]{1,2}")  # floats, integers, unsigned integers, booleans: no objects


def write_arrays(path: Path, arrays: Sequence[Array]) -> dict[str, Any]:
    """Write arrays one after the other, and return what the manifest says about the file."""
    with replacing(path) as part:
        with part.open("wb") as file:
            for array in arrays:
                _write_array(file, np.asarray(array, order="C"))
            file.flush()
            os.fsync(file.fileno())
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = part.stat().st_size
    shapes = [[array.dtype.str, list(array.shape)] for array in arrays]
    return {"file": path.name, "size": size, "sha256": digest, "arrays": shapes}


def _write_array(file: BinaryIO, array: Array) -> None:
    """Write an array in NumPy's format. `np.save` does the same, but hides why the file system refused it."""
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.reshape(-1).view(np.uint8).data)


def read_arrays(folder: Path, entry: Mapping[str, Any]) -> list[Array]:
    """Return the arrays of a file. The file is checked before anything of the size that it claims is allocated."""
    check_file(folder, entry)
    path = folder / entry["file"]
    expected = [(np.dtype(dtype), tuple(shape)) for dtype, shape in entry["arrays"]]
    arrays = []
    try:
        with path.open("rb") as file:
            for dtype, shape in expected:
                start = file.tell()
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError("another version of NumPy's format")
                found, _, of_type = np.lib.format.read_array_header_1_0(file)
                if (of_type, found) != (dtype, shape):
                    raise ValueError(f"an array is {of_type} {found}, expected {dtype} {shape}")
                file.seek(start)
                arrays.append(np.load(file, allow_pickle=False))
            if file.read(1):
                raise ValueError("it contains more arrays than expected")
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path.name} is damaged ({reason_of(error)})") from error
    return arrays


def check_file(folder: Path, entry: Mapping[str, Any]) -> None:
    """Raise CheckpointError unless a file has the size and the SHA-256 that its manifest lists."""
    path = folder / entry["file"]
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry["size"]:
                raise CheckpointError(f"{path.name} has {size:,} bytes, expected {entry['size']:,}")
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise CheckpointError(f"{path.name} was changed: its SHA-256 differs from the manifest")
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({reason_of(error)})") from error


def is_entry(entry: Any) -> bool:
    """Return True if this is what a manifest says about a file, and its arrays fit into the size of the file."""
    try:
        total = 0
        for dtype, shape in entry["arrays"]:
            if not _DTYPE.fullmatch(dtype) or not all(isinstance(side, int) and side >= 0 for side in shape):
                return False
            total += np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object))
        is_named = bool(FILE.fullmatch(entry["file"])) and isinstance(entry["sha256"], str)
        return is_named and isinstance(entry["size"], int) and total <= entry["size"]
    except (TypeError, ValueError, KeyError):  # another form
        return False


def reason_of(error: Exception) -> str:
    """Return the first line of what the system says, or of the error."""
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error) or type(error).__name__).splitlines()[0]
