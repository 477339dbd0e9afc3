"""The files in a folder of images by class and split, and the files that are skipped without opening them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.datasets.arrays import BadFile
from src.datasets.images import SUFFIXES
from src.errors import DataError

LINK_OUT = "link out of the folder"
MAX_NAMED = 5  # files or links in a sentence
MAX_SHOWN = 40  # bytes of a cell in a sentence
TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")
VALIDATION_SYNONYMS = ("val", "valid", "dev")
SPLIT_NAMES = {  # as people name them, in lowercase
    TRAIN: TRAIN,
    "training": TRAIN,
    VALIDATION: VALIDATION,
    **dict.fromkeys(VALIDATION_SYNONYMS, VALIDATION),
    TEST: TEST,
    "testing": TEST,
}
READABLE = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
# Such files are meant as images, so they are reported. Other files (notes, Thumbs.db) are skipped silently.
UNREADABLE = {".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".psd", ".tga", ".ico", ".dng"}
UNREADABLE |= {".pbm", ".pgm", ".ppm", ".pnm"}


# Folders that systems and file managers leave behind, in lowercase. Names that begin with a dot are skipped too.
LEFTOVERS = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}


class ImageFile(NamedTuple):
    """An image file: its path below the folder, its split, class and group, and facts that change with its content."""

    path: str
    split: str | None
    class_name: str
    size: int
    changed: tuple[int, int]  # times of the last change of its content and of its entry, in nanoseconds
    group: str | None = None


@dataclass
class Listing:
    """A folder's images in the order of their paths.

    Attributes:
        splits: the split of each folder that is one, empty when the classes are directly below the folder.
        class_names: sorted, including classes without an image.
        files: the images to decode.
        bad_files: files that are skipped without decoding: links out of the folder, formats that are not read, etc.
        follows_links: True if links to folders, and links that lead out of the folder, are followed.
        twins: names of classes of which there are several folders, whose letters are composed differently.
        links: paths of links in place of a class or split that are not followed.
    """

    splits: dict[str, str]
    class_names: list[str]
    files: list[ImageFile] = field(default_factory=list)
    bad_files: list[BadFile] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)
    follows_links: bool = False


def list_classes(folder: Path, follow_links: bool = False) -> list[str]:
    """Return the sorted names of the classes, from the folders alone."""
    return _layout(folder, follow_links).class_names


def list_images(folder: Path, follow_links: bool = False) -> Listing:
    """Return every file in the folders of the classes.

    Links to files inside the folder are followed. Links to folders, and links that lead out of it, are followed with
    `follow_links`. Names that begin with a dot and `LEFTOVERS` are skipped.

    Raises:
        DataError: the folder is missing or cannot be read, or its subfolders are not classes or splits.
    """
    listing = _layout(folder, follow_links)
    root = folder.resolve()
    for entry in _entries(folder):
        _collect(listing, root, "", entry, listing.splits.get(entry.name), None)
    listing.files.sort()
    listing.bad_files.sort()
    return listing


def list_files(folder: Path) -> Listing:
    """Return every image file below the folder, in any subfolder. Links are treated as in `list_images`."""
    listing, root = Listing({}, []), folder.resolve()
    for entry in _entries(folder):
        _collect(listing, root, "", entry, None, "")
    listing.files.sort()
    listing.bad_files.sort()
    return listing


def _layout(folder: Path, follow: bool) -> Listing:
    """Return splits and classes, from the names of folders alone."""
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(
            f"the folder of images {folder} {problem}; put a folder for each class into it, or set "
            "dataset.folder=FOLDER to another one"
        )
    splits = _find_splits(folder, follow)
    parents = [folder / split for split in splits] or [folder]
    forms: dict[str, set[str]] = {}
    for name in (entry.name for parent in parents for entry in _folders(parent, follow)):
        if _is_utf8(name):
            forms.setdefault(_class_name(name), set()).add(name)
    class_names = sorted(forms)
    linked = {path for parent in (folder, *parents) for path in _linked_folders(folder, parent)}
    links = [] if follow else sorted(linked)
    if len(class_names) < 2:
        found = f"only one folder, {class_names[0]!r}," if class_names else "no folder of images"
        raise DataError(
            f"there is {found} in {folder}; at least two classes are needed, each in its own folder"
            f"{_explain_inner(folder)}{explain_links(links)}"
        )
    twins = [name for name, names in forms.items() if len(names) > 1]
    return Listing(splits, class_names, links=links, twins=twins, follows_links=follow)


def _explain_inner(folder: Path) -> str:
    """Return the end of a sentence about the only folder, if it contains several folders itself."""
    names = [entry.name for entry in _folders(folder)]
    inner = sorted(entry.name for entry in _folders(folder / names[0])) if len(names) == 1 else []
    if len(inner) < 2:
        return ""
    return (
        f". It contains the folders {_listed(inner)}: if they are the classes, set dataset.folder={folder / names[0]}"
    )


def _find_splits(folder: Path, follow: bool) -> dict[str, str]:
    """Return the split of each folder that is one; none unless there is one for training and another one.

    Raises:
        DataError: two folders are the same split, there are other folders next to them, the folders of the classes
            are next to a split and in it, or a split is a link.
    """
    names = sorted(entry.name for entry in _folders(folder, follow))
    splits = {name: SPLIT_NAMES[name.lower()] for name in names if name.lower() in SPLIT_NAMES}
    found = set(splits.values())
    is_only_one_twice = len(found) == 1 < len(splits) == len(names) and all(
        _folders(folder / name, follow) for name in splits
    )
    if not is_only_one_twice and (TRAIN not in found or len(found) < 2):
        _refuse_classes_next_to(folder, names, splits, follow)
        return {}
    has_old_names = {TRAIN} < {name.lower() for name in names} & {TRAIN, TEST, VALIDATION, *VALIDATION_SYNONYMS}
    if not has_old_names and not all(_folders(folder / name, follow) for name in splits):
        return {}  # classes called `training` and `testing`
    for split in SPLITS:
        twins = [name for name in splits if splits[name] == split]
        if len(twins) > 1:
            raise DataError(
                f"{folder} has folders {' and '.join(twins)}, which are the same split; merge or rename them"
            )
    if others := sorted(_printable(name) for name in names if name not in splits):
        raise DataError(
            f"{folder} has folders {' and '.join(splits)}, and also {_listed(others)}; the only splits are "
            f"{', '.join(SPLITS)}: rename or move the other folders"
        )
    links = [path for path in _linked_folders(folder, folder) if path.lower() in SPLIT_NAMES]
    if links and not follow:
        raise DataError(f"{folder} has a link in place of a split{explain_links(links)}")
    return splits


def _refuse_classes_next_to(folder: Path, names: Sequence[str], splits: Mapping[str, str], follow: bool) -> None:
    """Raise DataError if a split contains folders with the names of several folders next to it."""
    for split, its in splits.items():
        inner = {entry.name for entry in _folders(folder / split, follow)}
        both = [_printable(name) for name in names if name in inner]
        if len(both) > 1:
            other = folder / (TEST if its == TRAIN else TRAIN)
            raise DataError(
                f"{folder} has the folders {_listed(both)}, and so has its folder {split}; if {split} is a split, move "
                f"the others into another split, such as {other}; if not, move or rename {split}"
            )


def explain_names(listing: Listing) -> list[str]:
    """Return sentences about folders whose names do not show what they were taken for, if there are any."""
    renamed = [f"{name} is {split}" for name, split in listing.splits.items() if name != split]
    splits = [f"splits: {', '.join(renamed)}"] if renamed else []
    return splits + [
        f"folders named {name!r}, with letters composed differently, are one class" for name in listing.twins
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")


def explain_links(links: Sequence[str]) -> str:
    """Return the end of a sentence about links in place of classes or splits, empty when there are none."""
    if not links:
        return ""
    return (
        f". Links to folders are not followed: {_listed(links)}; if what they lead to belongs to the data set, set "
        "dataset.follow_links=true"
    )


def _collect(
    listing: Listing, root: Path, parent: str, entry: os.DirEntry[str], split: str | None, class_name: str | None
) -> None:
    """Add a file, or everything below a folder, to the listing.

    `parent` is the path of the folder that contains the entry, with a trailing slash, empty for the folder of images.
    """
    path = parent + entry.name
    is_folder = _is_folder(entry)
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a Path takes ten times as long
    if not is_folder and suffix not in READABLE | UNREADABLE:
        return
    if reason := _reason_to_skip(entry, root, is_folder, suffix, listing.follows_links):
        listing.bad_files.append(BadFile(_printable(path), reason))
    elif is_folder:
        if class_name is None and path not in listing.splits:
            class_name = _class_name(entry.name)
        for below in _readable_entries(listing, entry, path):
            _collect(listing, root, f"{path}/", below, split, class_name)
    elif class_name is None:
        listing.bad_files.append(BadFile(path, "not in the folder of a class"))
    else:
        stat = entry.stat()
        changed = (stat.st_mtime_ns, stat.st_ctime_ns)
        listing.files.append(ImageFile(path, split, class_name, stat.st_size, changed))


def _reason_to_skip(entry: os.DirEntry[str], root: Path, is_folder: bool, suffix: str, follow: bool) -> str | None:
    """Return the reason to skip an entry without opening it, or None."""
    if not _is_utf8(entry.name):
        return "name that is not UTF-8"
    if entry.is_symlink():
        target = Path(os.path.realpath(entry.path))
        above = (Path(os.path.realpath(parent)) for parent in Path(entry.path).parents)
        if follow and is_folder and any(folder.is_relative_to(target) for folder in above):
            return "link to a folder that contains it"  # following it would never end
        if not follow and not target.is_relative_to(root):
            return LINK_OUT
        if not follow and is_folder:
            return "link to a folder"
    if is_folder:
        return None
    if not _is_file(entry):  # reading a pipe would wait forever
        return "not a file"
    return "format that is not read" if suffix in UNREADABLE else None


def _readable_entries(listing: Listing, entry: os.DirEntry[str], path: str) -> list[os.DirEntry[str]]:
    try:
        return list(_entries(Path(entry.path)))
    except PermissionError:
        listing.bad_files.append(BadFile(path, "cannot be read"))
        return []


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.casefold() not in LEFTOVERS:
                yield entry


def _folders(folder: Path, follow: bool = False) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in _entries(folder) if _is_folder(entry) and (follow or not entry.is_symlink())]
    except PermissionError as error:
        raise DataError(
            f"the folder {folder} cannot be read ({error.strerror}); make it readable, or set another one"
        ) from error


def _linked_folders(folder: Path, parent: Path) -> list[str]:
    """Return the paths below the folder of links to folders in one of its subfolders."""
    links = (entry for entry in _entries(parent) if entry.is_symlink() and _is_folder(entry))
    return [_printable(Path(entry.path).relative_to(folder).as_posix()) for entry in links]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that lead to each other
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # as in `_is_folder`
        return False


def _class_name(name: str) -> str:
    """Return the folder's name with composed characters: macOS stores `ü` as a `u` and its dots."""
    return unicodedata.normalize("NFC", name)


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any(
        "\udc80" <= sign <= "\udcff" for sign in name
    )  # Python's characters for bytes that are not UTF-8


def _printable(path: str) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")
