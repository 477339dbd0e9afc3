"""Images that a table lists with their labels: CSV, TSV or Parquet."""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from src.datasets.arrays import Arrays, BadFile
from src.datasets.bad_files import check_bad_files, without_skipped
from src.datasets.cache import decoded_images
from src.datasets.images import ImageBytes
from src.datasets.listing import LINK_OUT, READABLE, SPLIT_NAMES, SPLITS, TRAIN, ImageFile
from src.datasets.parquet import read_parquet
from src.datasets.rows import GROUP, SEPARATORS, Table, read_text
from src.datasets.splitting import Source, divide
from src.datasets.suggesting import suggest_settings
from src.errors import DataError
from src.places import local_path
from src.schema import ManifestConfig, Suggestion

NUMBER = re.compile(r"-?(0|[1-9]\d{0,4299})")  # an integer of the digits that `int` reads by default


def load_manifest(config: ManifestConfig) -> Arrays:
    """Return the images of a manifest, in the order of `divide`.

    The same images under the same paths are the same data as in a folder: the manifest `pets/labels.csv` of all images
    gives the same pixels, splits and digest as the folder `pets`.

    Raises:
        ConfigError: a validation size is set although the manifest has a validation split, or groups.
        DataError: the manifest cannot be read or has bad rows, a class has too few images, or there are bad files and
            `on_bad_image` is `error`.
    """
    table = read_table(config)
    class_names, labels = name_labels(config, table)
    splits, given = _splits_of(table)
    files, bad_files = _list_files(table, labels, splits, config.follow_links)
    if table.contents is None:
        files.sort()
        folder = table.file.parent
        images, undecoded = decoded_images(config, files, lambda: (folder / file.path for file in files))
    else:
        images, undecoded = decoded_images(config, files, table.contents, origin=config.columns.image)
    bad_files = sorted([*bad_files, *undecoded])
    listed = check_bad_files(config, bad_files, len(table.rows))
    files = without_skipped(files, undecoded)
    source = Source("manifest", images, files, class_names, given, listed, [_describe(table)], bad_files)
    return replace(divide(config, source), assignment=_assignment(files))


def suggest(config: ManifestConfig) -> Suggestion:
    """Return the image size and the batch size that suit the images of the manifest; only headers of files are read.

    Raises:
        DataError: the manifest cannot be read or has bad rows.
    """
    table = read_table(config)
    splits, given = _splits_of(table)
    files, _ = _list_files(table, [row.label for row in table.rows], splits, config.follow_links)
    if table.contents is not None:
        return suggest_settings(config, files, given, table.contents())
    files.sort()
    return suggest_settings(config, files, given, (table.file.parent / file.path for file in files))


def list_classes_of(config: ManifestConfig) -> list[str]:
    """Return the names of the classes; the manifest is read and checked, but no image is opened.

    Raises:
        DataError: the manifest cannot be read or has bad rows.
    """
    table = read_table(config)
    class_names, labels = name_labels(config, table)
    _list_files(table, labels, [None] * len(labels), config.follow_links)
    return class_names


def image_files_of(config: ManifestConfig) -> Iterable[Path | ImageBytes]:
    """Return the path of each image, or its content if the manifest is a Parquet file with the images.

    Raises:
        DataError: the manifest cannot be read or has bad rows.
    """
    table = read_table(config)
    if table.contents is not None:
        return table.contents()
    _, labels = name_labels(config, table)
    files, _ = _list_files(table, labels, [None] * len(labels), config.follow_links)
    return [table.file.parent / file.path for file in files]


def _splits_of(table: Table) -> tuple[list[str | None], list[str]]:
    """Return the split of each row, None if the rows have none, and the splits that there are."""
    splits = [SPLIT_NAMES[row.split.lower()] if row.split else None for row in table.rows]
    return splits, [split for split in SPLITS if split in splits]


def read_table(config: ManifestConfig) -> Table:
    """Return the rows of the manifest, whose splits and groups are right.

    Raises:
        DataError: the manifest cannot be read, has no rows, or has bad ones.
    """
    place = local_path(config.file)
    kinds = "CSV, TSV or Parquet, with the columns path and label"
    if not place.exists():
        raise DataError(f"the manifest {place} does not exist; create it ({kinds}), or set dataset.file=FILE")
    shards = sorted(place.glob("*.parquet")) if place.is_dir() else []
    if place.is_dir() and not shards:
        raise DataError(
            f"{place} is a folder without Parquet files; set dataset.file to a file ({kinds}), or use "
            "dataset=image_folder dataset.folder=FOLDER"
        )
    suffix = place.suffix.lower()
    if not shards and suffix not in (*SEPARATORS, ".parquet"):
        raise DataError(f"dataset.file={config.file}: its name must end in .csv, .tsv or .parquet; rename it")
    try:
        table = read_parquet(config, place, shards or [place]) if suffix not in SEPARATORS else read_text(config, place)
    except OSError as error:
        raise DataError(f"the manifest {place} cannot be read ({error.strerror or error}); make it readable") from error
    if not table.rows:
        raise DataError(f"{place} has no rows; add one for each image, or set dataset.file=FILE")
    _check_splits(table)
    _check_groups(table)
    return table


def name_labels(config: ManifestConfig, table: Table) -> tuple[list[str], list[str]]:
    """Return the names of the classes, and the name of the class of each row.

    If the configuration or the file gives names, labels that are numbers are the places of these names, from 0. Without
    names, integers are sorted by value and other labels as strings.

    Raises:
        DataError: labels are empty or not among the classes, or there is only one.
    """
    labels = [unicodedata.normalize("NFC", row.label) for row in table.rows]
    table.refuse(
        [(row.number, "") for row in table.rows if not row.label], "have no label", "add it, or remove the rows"
    )
    if table.label_names:
        labels = _names_of_numbers(table, labels, table.label_names, "the file names")
    wanted = list(config.class_names)
    if wanted and not set(labels) <= set(wanted) and all(map(NUMBER.fullmatch, labels)):
        labels = _names_of_numbers(table, labels, wanted, "dataset.class_names has")
    found = sorted(set(labels), key=int) if all(map(NUMBER.fullmatch, labels)) else sorted(set(labels))
    if wanted:
        table.refuse(
            [(row.number, repr(label)) for row, label in zip(table.rows, labels, strict=True) if label not in wanted],
            "have labels that are not in dataset.class_names",
            "correct the rows or the names, or set dataset.class_names=[] to take the classes from the file",
        )
    elif len(found) < 2:
        raise DataError(
            f"all {len(labels):,} rows of {table.file} have the label {found[0]!r}; at least two classes are needed. "
            "If the labels are in another column, set dataset.columns.label=NAME"
        )
    return wanted or found, labels


def _names_of_numbers(table: Table, labels: Sequence[str], names: Sequence[str], who: str) -> list[str]:
    if not all(map(NUMBER.fullmatch, labels)):
        return list(labels)
    table.refuse(
        [
            (row.number, label)
            for row, label in zip(table.rows, labels, strict=True)
            if not 0 <= int(label) < len(names)
        ],
        "have labels that are out of range",
        f"{who} {len(names)} classes, so labels are from 0 to {len(names) - 1}; correct or remove the rows",
    )
    return [names[int(label)] for label in labels]


def _check_splits(table: Table) -> None:
    rows = table.rows
    if not any(row.split for row in rows):
        return
    remedy = f"use {', '.join(SPLITS)}, or set dataset.columns.split=null to divide the images"
    table.refuse([(row.number, "") for row in rows if not row.split], "have no split, but others have one", remedy)
    unknown = [(row.number, repr(row.split)) for row in rows if row.split.lower() not in SPLIT_NAMES]
    table.refuse(unknown, "have an unknown split", remedy)
    if not any(SPLIT_NAMES[row.split.lower()] == TRAIN for row in rows):
        raise DataError(f"no row of {table.file} has the split {TRAIN}; {remedy}")


def _check_groups(table: Table) -> None:
    rows = table.rows
    if GROUP not in table.columns:
        return
    remedy = "or set dataset.columns.group=null to ignore the groups"
    table.refuse([(row.number, "") for row in rows if not row.group], "have no group", f"add it, {remedy}")
    first: dict[str, tuple[str, int]] = {}
    torn = []
    for row in rows:
        split = SPLIT_NAMES.get(row.split.lower(), "")
        earlier, number = first.setdefault(row.group, (split, row.number))
        if earlier != split:
            torn.append((row.number, f"group {row.group!r} is in {split} here, in {earlier} in {table.unit} {number}"))
    table.refuse(torn, "have a group that is in another split too", f"move each group into one split, {remedy}")


def _list_files(
    table: Table, labels: Sequence[str], splits: Sequence[str | None], follow_links: bool
) -> tuple[list[ImageFile], list[BadFile]]:
    """Return the images of the rows, and those that are skipped without opening them.

    Raises:
        DataError: files are missing, outside the manifest's folder, or named twice.
    """
    groups = [row.group if GROUP in table.columns else None for row in table.rows]
    if table.contents is not None:
        files = table.file.glob("*.parquet") if table.file.is_dir() else [table.file]
        stats = [file.stat() for file in files]
        size = sum(stat.st_size for stat in stats)
        changed = (max(stat.st_mtime_ns for stat in stats), max(stat.st_ctime_ns for stat in stats))
        return [
            ImageFile(row.path, split, label, size, changed, group)
            for row, label, split, group in zip(table.rows, labels, splits, groups, strict=True)
        ], []
    paths = _find_paths(table)
    found, bad = [], []
    folder, root = str(table.file.parent), os.path.realpath(table.file.parent)
    is_inside = functools.cache(lambda parent: _is_below(os.path.realpath(parent), root))
    for path, label, split, group in zip(paths, labels, splits, groups, strict=True):
        file = os.path.join(folder, path)  # noqa: PTH118 - there may be millions, and a Path takes ten times as long
        is_out = not is_inside(os.path.dirname(file)) or (  # noqa: PTH120
            os.path.islink(file) and not _is_below(os.path.realpath(file), root)  # noqa: PTH114
        )
        if is_out and not follow_links:
            bad.append(BadFile(path, LINK_OUT))
        elif not os.path.isfile(file):  # noqa: PTH113
            bad.append(BadFile(path, "not a file"))
        elif os.path.splitext(path)[1].lower() not in READABLE:  # noqa: PTH122
            bad.append(BadFile(path, "format that is not read"))
        else:
            stat = os.stat(file)  # noqa: PTH116
            found.append(ImageFile(path, split, label, stat.st_size, (stat.st_mtime_ns, stat.st_ctime_ns), group))
    return found, bad


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _find_paths(table: Table) -> list[str]:
    """Return the path of each row's file below the manifest's folder, with slashes.

    Raises:
        DataError: paths are missing, lead out of the folder, are those of earlier rows, or there are no such files.
    """
    folder = os.path.abspath(table.file.parent)  # noqa: PTH100 - resolve() would follow links
    rows = table.rows
    remedy = "correct or remove the rows"
    table.refuse([(row.number, "") for row in rows if not row.path], "have no path", remedy)
    paths = [_find_path(folder, row.path) for row in rows]
    outside = [
        (row.number, row.path)
        for row, path in zip(rows, paths, strict=True)
        if path.startswith(("../", "/")) or path == ".."
    ]
    table.refuse(
        outside,
        "have paths outside the folder of the manifest",
        f"move the manifest into the folder that contains all images, now {folder}, and give paths below that folder",
    )
    first: dict[str, int] = {}
    again = [
        (row.number, f"{path}, as in {table.unit} {first[path]}")
        for row, path in zip(rows, paths, strict=True)
        if first.setdefault(path, row.number) != row.number
    ]
    table.refuse(again, "name a file that an earlier row names", "keep one row for each file")
    missing = [
        (row.number, path) for row, path in zip(rows, paths, strict=True) if not os.path.lexists(f"{folder}/{path}")
    ]
    table.refuse(missing, "name files that do not exist", f"paths are relative to {folder}; {remedy}")
    return paths


def _find_path(folder: str, typed: str) -> str:
    """Return the path below the folder that a cell means.

    That is the cell as it is, with slashes for backslashes, or with its letters composed differently.
    """
    found = typed
    if not os.path.lexists(os.path.join(folder, typed)):  # noqa: PTH118
        slashes = typed.replace("\\", "/")
        forms = [slashes, *(unicodedata.normalize(form, slashes) for form in ("NFC", "NFD"))]
        found = next((form for form in forms if os.path.lexists(os.path.join(folder, form))), slashes)  # noqa: PTH118
        if re.match("[A-Za-z]:/", found):  # of a Windows drive
            return f"/{found}"
    return os.path.relpath(found, folder) if found.startswith("/") else os.path.normpath(found)


def _assignment(files: Sequence[ImageFile]) -> bytes:
    """Return the splits and groups in the order of the paths, empty if the paths show them as those of a folder do."""
    if all(file.group is None and (file.split is None or file.path.startswith(f"{file.split}/")) for file in files):
        return b""
    return repr([(file.split, file.group) for file in sorted(files)]).encode()


def _describe(table: Table) -> str:
    taken = ", ".join(f"{key} from {name!r}" for key, name in table.columns.items())
    unused = f"; columns that are not used: {', '.join(table.unused)}" if table.unused else ""
    return f"{table.file.name}: {taken}{unused}"
