"""CIFAR-10: the binary version's archive, found or downloaded, verified, and read without being unpacked to disk.

A batch is records of a label and three planes of 32 x 32 bytes, red, green and blue, row by row; see
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import hashlib
import math
import os
import tarfile
import zlib
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from filelock import FileLock

from src.datasets.arrays import Arrays, Images, Labels
from src.datasets.download import fetch, lock_of
from src.errors import DataError
from src.places import local_path
from src.schema import CifarConfig

FOLDER = "cifar-10-batches-bin"  # the archive's only folder
VALIDATION_SIZE = 5_000  # the first training images
MOST_MEMBERS = 32
LARGEST_MEMBER = 1 << 28  # bytes, so that a crafted archive cannot fill the memory


def load_cifar(config: CifarConfig) -> Arrays:
    """The data set, from an extracted folder or the archive; the archive is downloaded when neither is there.

    Raises:
        DataError: it is neither on disk nor can be downloaded, or is not what the config says it is.
    """
    damaged: list[str] = []
    batches = _find(config, damaged)
    if batches is None:
        try:
            archive = fetch(
                config.archive,
                config.mirrors,
                local_path(config.folders[0]),
                partial(_problem, config.sha256),
            )
        except DataError as error:
            reasons = "; ".join([*damaged, str(error)])
            raise DataError(
                f"{config.name} is neither in {', '.join(config.folders)} nor could it be downloaded: {reasons}. "
                f"Put {config.archive} into {config.folders[0]}, or set DATA_DIR to the folder above it"
            ) from error
        batches = read_archive(archive, config)
    read = [_records(name, batches[name], config) for name in config.batches]
    images, labels = ([np.concatenate(part) for part in (parts[:-1], parts[-1:])] for parts in zip(*read, strict=True))
    return Arrays(
        train_images=images[0],
        train_labels=labels[0],
        test_images=images[1],
        test_labels=labels[1],
        validation_size=VALIDATION_SIZE,
        source="full",
        warnings=damaged,
    )


def read_archive(path: Path, config: CifarConfig) -> dict[str, bytes]:
    """The batches in the archive, by name.

    Raises:
        DataError: not such an archive, or one with members that a data set has no use for.
    """
    batches: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for count, member in enumerate(archive, start=1):
                _check_member(path, count, member)
                name = PurePosixPath(member.name)
                if name.parent == PurePosixPath(FOLDER) and name.name in config.batches:
                    file = archive.extractfile(member)
                    assert file is not None  # it is a regular file
                    batches[name.name] = file.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if missing := [name for name in config.batches if name not in batches]:
        raise DataError(f"{path} holds no {', '.join(missing)} in a folder {FOLDER}")
    return batches


def _check_member(path: Path, count: int, member: tarfile.TarInfo) -> None:
    """Raises DataError for what is no plain file or folder inside the archive's own."""
    name = PurePosixPath(member.name)
    if count > MOST_MEMBERS:
        raise DataError(f"{path} has more than {MOST_MEMBERS} members")
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{path} has a member that leads out of it: {member.name}")
    if not (member.isreg() or member.isdir()):
        raise DataError(f"{path} has a member that is no plain file or folder: {member.name}")
    if member.size > LARGEST_MEMBER:
        raise DataError(f"{path} has a member of {member.size:,} bytes, {member.name}; at most {LARGEST_MEMBER:,}")


def _records(name: str, content: bytes, config: CifarConfig) -> tuple[Images, Labels]:
    """Images, (n, height, width, channels), and labels of one batch."""
    height, width, channels = config.input_shape
    record = 1 + math.prod(config.input_shape)
    if len(content) != config.images_per_batch * record:
        raise DataError(
            f"{config.name}: {name} has {len(content):,} bytes, expected {config.images_per_batch * record:,}: "
            f"{config.images_per_batch:,} images of {height}x{width}x{channels}, each with a label"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    planes = records[:, 1:].reshape(-1, channels, height, width)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].copy()


def _find(config: CifarConfig, damaged: list[str]) -> dict[str, bytes] | None:
    """The batches from the first folder that has them whole; notes what is damaged on the way."""
    for position, folder in enumerate(local_path(folder) for folder in config.folders):
        if (folder / FOLDER).is_dir():
            batches = _read_extracted(folder / FOLDER, config, damaged)
            if batches is not None:
                return batches
        archive = folder / config.archive
        if archive.is_file():
            problem = _problem(config.sha256, archive)
            if problem is None:
                return read_archive(archive, config)
            damaged.append(_set_aside(archive, config.sha256) if position == 0 else f"{archive}: {problem}")
    return None


def _read_extracted(folder: Path, config: CifarConfig, damaged: list[str]) -> dict[str, bytes] | None:
    batches = {}
    for name, sha256 in config.batches.items():
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            damaged.append(f"{folder / name} cannot be read: {error.strerror or error}")
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            damaged.append(f"{folder / name} holds other content than the published file")
            return None
        batches[name] = content
    return batches


def _problem(sha256: str, path: Path) -> str | None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            return "it holds other content than the published file"
    return None


def _set_aside(archive: Path, sha256: str) -> str:
    """Renames a damaged archive of ours, so that it is fetched anew; says what was done."""
    told = f"{archive} holds other content than the published file"
    try:
        with FileLock(lock_of(archive)):
            if archive.exists() and _problem(sha256, archive):  # another process may have fetched it anew meanwhile
                os.replace(archive, archive.with_name(f"{archive.name}.damaged"))
    except OSError:
        return f"{told}; left where it is, since its folder cannot be written"
    return f"{told}; set aside as {archive.name}.damaged"
