"""CIFAR-10: the archive of its binary version, read without unpacking it to disk, or the folder extracted from it.

A batch is records of a label and three planes of 32 x 32 bytes, red, green and blue, row by row; see
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import hashlib
import math
import tarfile
import zlib
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from src.datasets.arrays import Arrays, Images, Labels
from src.datasets.published import Folder, download_file, find_or_download
from src.errors import DataError
from src.schema import CifarConfig

FOLDER = "cifar-10-batches-bin"  # the archive's only folder
VALIDATION_SIZE = 5_000  # the first training images
MAX_MEMBERS = 32  # the published archive has 9
MAX_MEMBER_BYTES = 1 << 28  # so that a crafted archive cannot use up the memory


def load_cifar(config: CifarConfig) -> Arrays:
    """Return the data set from an extracted folder or from the archive, which is downloaded when neither exists.

    Raises:
        DataError: it is not on disk and cannot be downloaded, or it is not what the config says.
    """
    batches, damaged = find_or_download(config, partial(_find, config), partial(_download, config), config.archive)
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


def _find(config: CifarConfig, folder: Folder) -> dict[str, bytes] | None:
    """Return the batches from the extracted folder or the archive in a folder, None when neither is as published."""
    if (folder.path / FOLDER).is_dir():
        batches = folder.read(FOLDER, partial(_read_extracted, config))
        if batches is not None:
            return batches
    archive = folder.read(config.archive, partial(_verify_archive, config))
    return None if archive is None else read_archive(archive, config)


def _download(config: CifarConfig) -> dict[str, bytes]:
    return read_archive(download_file(config, config.archive, partial(_verify_archive, config)), config)


def _read_extracted(config: CifarConfig, folder: Path) -> dict[str, bytes]:
    batches = {}
    for name, sha256 in config.batches.items():
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataError(f"{folder / name} differs from the published file")
        batches[name] = content
    return batches


def _verify_archive(config: CifarConfig, path: Path) -> Path:
    """Return the path of the published archive.

    Raises:
        DataError: the file differs from the published one, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if digest != config.sha256:
        raise DataError(f"{path} differs from the published file")
    return path


def read_archive(path: Path, config: CifarConfig) -> dict[str, bytes]:
    """Return the batches in the archive, by name.

    Raises:
        DataError: it cannot be read as such an archive, or has members that a data set does not need.
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
        raise DataError(f"{path} does not contain {', '.join(missing)} in a folder {FOLDER}")
    return batches


def _check_member(path: Path, count: int, member: tarfile.TarInfo) -> None:
    """Raise DataError for a member that is not a regular file or folder inside the archive, or is too large."""
    name = PurePosixPath(member.name)
    if count > MAX_MEMBERS:
        raise DataError(f"{path} has more than {MAX_MEMBERS} members")
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{path} has a member that would be unpacked outside its folder: {member.name}")
    if not (member.isreg() or member.isdir()):
        raise DataError(f"{path} has a member that is not a regular file or folder: {member.name}")
    if member.size > MAX_MEMBER_BYTES:
        raise DataError(
            f"{path} has a member of {member.size:,} bytes, {member.name}; the limit is {MAX_MEMBER_BYTES:,}"
        )


def _records(name: str, content: bytes, config: CifarConfig) -> tuple[Images, Labels]:
    """Return the images, (n, height, width, channels), and the labels of one batch."""
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
