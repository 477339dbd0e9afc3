"""What lies in a folder of images: which files belong to which class and split, and which are left out unseen."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.datasets.arrays import BadFile
from src.datasets.images import SUFFIXES
from src.errors import DataError

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")
LIKE_VALIDATION = ("val", "valid", "dev")
READ = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
# Someone who puts these here means them as images; whatever else lies about (notes, Thumbs.db) is passed over.
NOT_READ = {".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".psd", ".tga", ".ico", ".dng"}
NOT_READ |= {".pbm", ".pgm", ".ppm", ".pnm"}


class ImageFile(NamedTuple):
    """An image by its path below the folder, and what a change of its content would change."""

    path: str
    split: str | None
    class_name: str
    size: int
    changed: tuple[int, int]  # when its content and when its entry changed, in nanoseconds


@dataclass
class Listing:
    """A folder's images in the order of their paths.

    Attributes:
        splits: the folders of ready splits, none where the classes are right below the folder.
        class_names: sorted; those without an image too.
        files: what may be decoded.
        bad_files: what need not be tried: links out of the folder, formats that are not read, and so on.
    """

    splits: list[str]
    class_names: list[str]
    files: list[ImageFile] = field(default_factory=list)
    bad_files: list[BadFile] = field(default_factory=list)


def list_classes(folder: Path) -> list[str]:
    """The names of the classes, sorted, from the folders alone."""
    return _layout(folder).class_names


def list_images(folder: Path) -> Listing:
    """Every file below the folder that a class holds.

    Links to files inside the folder are followed; links to folders, and links that lead out of it, are not. Names that
    begin with a dot are passed over.

    Raises:
        DataError: the folder is missing or may not be read, or its sub-folders are no classes or splits.
    """
    listing = _layout(folder)
    root = folder.resolve()
    for entry in _entries(folder):
        split = entry.name if entry.name in listing.splits else None
        _collect(listing, root, folder, entry, split, None)
    listing.files.sort()
    listing.bad_files.sort()
    return listing


def list_files(folder: Path) -> Listing:
    """Every image file below the folder, whatever folders there are; links are treated as in `list_images`."""
    listing, root = Listing([], []), folder.resolve()
    for entry in _entries(folder):
        _collect(listing, root, folder, entry, None, "")
    listing.files.sort()
    listing.bad_files.sort()
    return listing


def _layout(folder: Path) -> Listing:
    """Splits and classes, from the names of folders alone."""
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise DataError(
            f"the folder of images {folder} {what}; put a folder for each class into it, or name another with "
            "dataset.folder=FOLDER"
        )
    names = {entry.name for entry in _folders(folder)}
    splits: list[str] = []
    small = {name.lower() for name in names}
    if TRAIN in small and small & {TEST, VALIDATION, *LIKE_VALIDATION}:
        splits = [split for split in SPLITS if split in names]
        _check_splits(folder, names)
    below = [folder / split for split in splits] or [folder]
    inner = (entry.name for place in below for entry in _folders(place))
    class_names = sorted({_class_name(name) for name in inner if _is_text(name)})
    if len(class_names) < 2:
        found = f"only one folder, {class_names[0]!r}," if class_names else "no folder of images"
        raise DataError(f"there is {found} in {folder}; at least two classes are needed, each in a folder of its own")
    return Listing(splits, class_names)


def _check_splits(folder: Path, names: set[str]) -> None:
    if capitals := [name for name in sorted(names) if name.lower() in SPLITS and name not in SPLITS]:
        raise DataError(
            f"{folder} has folders {', '.join(capitals)}, which are taken for splits where they are written small; "
            f"rename them to {', '.join(name.lower() for name in capitals)}"
        )
    if TEST not in names:
        raise DataError(
            f"{folder} has a folder {TRAIN} but no folder {TEST}; add one, or put the classes right into {folder}, "
            "where they are split by dataset.test_fraction"
        )
    if others := sorted(map(_shown, names - set(SPLITS))):
        raise DataError(
            f"{folder} has folders {TRAIN} and {TEST}, and beside them {', '.join(others)}; of ready splits there are "
            f"{', '.join(SPLITS)} and no others: rename or move away what stands beside them"
        )


def _collect(
    listing: Listing, root: Path, folder: Path, entry: os.DirEntry[str], split: str | None, class_name: str | None
) -> None:
    """Adds what an entry holds: a file, or a folder with all that is below it."""
    path = Path(entry.path).relative_to(folder).as_posix()
    is_folder = _is_folder(entry)
    suffix = Path(entry.name).suffix.lower()
    if not is_folder and suffix not in READ | NOT_READ:
        return
    if reason := _why_not(entry, root, is_folder, suffix):
        listing.bad_files.append(BadFile(_shown(path), reason))
    elif is_folder:
        if class_name is None and path != split:
            class_name = _class_name(entry.name)
        for below in _readable_entries(listing, entry, path):
            _collect(listing, root, folder, below, split, class_name)
    elif class_name is None:
        listing.bad_files.append(BadFile(path, "not in the folder of a class"))
    else:
        stat = entry.stat()
        changed = (stat.st_mtime_ns, stat.st_ctime_ns)
        listing.files.append(ImageFile(path, split, class_name, stat.st_size, changed))


def _why_not(entry: os.DirEntry[str], root: Path, is_folder: bool, suffix: str) -> str | None:
    """Why an entry is not even opened, or None."""
    if not _is_text(entry.name):
        return "name that is not UTF-8"
    if entry.is_symlink():
        if not Path(os.path.realpath(entry.path)).is_relative_to(root):
            return "link out of the folder"
        if is_folder:
            return "link to a folder"
    if is_folder:
        return None
    if not Path(entry.path).is_file():  # a pipe would be waited on for ever
        return "not a file"
    return "format that is not read" if suffix in NOT_READ else None


def _readable_entries(listing: Listing, entry: os.DirEntry[str], path: str) -> list[os.DirEntry[str]]:
    try:
        return list(_entries(Path(entry.path)))
    except PermissionError:
        listing.bad_files.append(BadFile(path, "cannot be read"))
        return []


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]
    except PermissionError as error:
        raise DataError(f"the folder {folder} cannot be read ({error.strerror}); allow it, or name another") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that lead to each other
        return False


def _class_name(name: str) -> str:
    """The folder's name, composed: macOS keeps an `ü` as an u and its dots."""
    return unicodedata.normalize("NFC", name)


def _is_text(name: str) -> bool:
    return not any("\udc80" <= sign <= "\udcff" for sign in name)  # how Python keeps bytes that it cannot read


def _shown(path: str) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")
