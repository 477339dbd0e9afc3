"""Image files in folders: list and decode them, and divide each class among the splits."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from src.datasets.arrays import Arrays, BadFile
from src.datasets.cache import decoded_images, reorder
from src.datasets.listing import (
    MAX_NAMED,
    TEST,
    TRAIN,
    VALIDATION,
    ImageFile,
    Listing,
    explain_links,
    list_classes,
    list_images,
)
from src.errors import ConfigError, DataError
from src.places import local_path
from src.schema import ImageFolderConfig


def load_image_folder(config: ImageFolderConfig) -> Arrays:
    """Return the images of a folder, in an order in which every part of the training images is nearly stratified.

    The first training images are the validation split: a share of each class, or the folder `validation`. The position
    of an image among those of its class depends only on its path and `split_seed`, so that adding or removing files
    hardly moves the others.

    Raises:
        ConfigError: a validation size is set although there is a folder `validation`.
        DataError: the folder is missing, its classes are not those of the config, a class has too few images, or there
            are bad files and `on_bad_image` is `error`.
    """
    folder = local_path(config.folder)
    listing = list_images(folder)
    class_names = _check_classes(config, listing.class_names)
    if VALIDATION in listing.splits and config.validation_size:
        raise ConfigError(
            f"dataset.validation_size={config.validation_size}: {folder} has a folder {VALIDATION}, which is the "
            "validation split; remove dataset.validation_size, or set it to 0 to train on that folder too"
        )
    images, undecoded = decoded_images(config, listing.files)
    bad_files = sorted([*listing.bad_files, *undecoded])
    warnings = _check_bad_files(config, bad_files, listing)
    skipped = {bad.path for bad in undecoded}
    files = [file for file in listing.files if file.path not in skipped]
    splits = _splits(config, listing, class_names, files, warnings)
    places = {split: deal(groups) for split, groups in splits.items()}
    label = {name: index for index, name in enumerate(class_names)}
    labels = np.array([label[file.class_name] for file in files], np.min_scalar_type(len(class_names) - 1))
    order = np.array([*places[VALIDATION], *places[TRAIN], *places[TEST]], np.int64)
    ordered, ordered_labels = reorder(images, order), labels[order]
    names = [files[index].path for index in order]
    train = len(order) - len(places[TEST])
    return Arrays(
        train_images=ordered[:train],
        train_labels=ordered_labels[:train],
        test_images=ordered[train:],
        test_labels=ordered_labels[train:],
        validation_size=len(places[VALIDATION]),
        source="folder",
        warnings=warnings,
        class_names=class_names,
        train_files=names[:train],
        test_files=names[train:],
        bad_files=bad_files,
    )


def check_folders(config: ImageFolderConfig) -> None:
    """Raise DataError for a folder that is missing, or whose folders are not the classes; no image is opened."""
    _check_classes(config, list_classes(local_path(config.folder)))


def deal(groups: Sequence[Sequence[int]]) -> list[int]:
    """Return the members of all groups as one sequence in which each group is spread evenly, in the group's order.

    `deal([[1, 2, 3, 4], [10, 20]])` is `[1, 10, 2, 3, 20, 4]`.
    """
    placed = [
        ((rank + 0.5) / len(group), index, member)
        for index, group in enumerate(groups)
        for rank, member in enumerate(group)
    ]
    return [member for _, _, member in sorted(placed)]


def _check_classes(config: ImageFolderConfig, found: list[str]) -> list[str]:
    """Return the names of the classes in the order of the config, or those of the folders when it names none."""
    if not config.class_names:
        return found
    missing = [name for name in config.class_names if name not in found]
    extra = [name for name in found if name not in config.class_names]
    if missing or extra:
        parts = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("extra", extra)) if names]
        raise DataError(
            f"the folders in {config.folder} are not the {config.num_classes} classes of {config.name}; "
            f"{'; '.join(parts)}. Correct the folders, set dataset.folder to another one, or use dataset=image_folder, "
            "which uses the folders as classes"
        )
    return list(config.class_names)


def _check_bad_files(config: ImageFolderConfig, bad_files: list[BadFile], listing: Listing) -> list[str]:
    """Return a list with a warning about the bad files, empty when there are none.

    Raises:
        DataError: there are some and `on_bad_image` is `error`.
    """
    if not bad_files:
        return []
    reasons = Counter(bad.reason for bad in bad_files).most_common()
    counts = ", ".join(f"{number} {reason}" for reason, number in reasons)
    total = len(listing.files) + len(listing.bad_files)
    problem = f"{len(bad_files)} of {total:,} image files in {config.folder} cannot be used ({counts})"
    links = explain_links(listing.links)
    if config.on_bad_image == "error":
        first = "; ".join(f"{bad.path}: {bad.reason}" for bad in bad_files[:MAX_NAMED])
        more = "; ..." if len(bad_files) > MAX_NAMED else ""
        remedy = "Repair or remove them, or skip them with dataset.on_bad_image=skip"
        raise DataError(f"{problem}: {first}{more}. {remedy}{links}")
    return [f"{problem} and are skipped; the run's tables/bad_images.csv lists them{links}"]


def _splits(
    config: ImageFolderConfig, listing: Listing, class_names: list[str], files: list[ImageFile], warnings: list[str]
) -> dict[str, list[list[int]]]:
    """Return the indices of each split's files, as one list for each class.

    Raises:
        DataError: a class has no image in a split. The message ends with the warnings, which may explain it.
    """
    by_class: dict[tuple[str | None, str], list[int]] = {}
    for index, file in enumerate(files):
        by_class.setdefault((file.split, file.class_name), []).append(index)
    shuffled = {key: _shuffle(members, files, config.split_seed) for key, members in by_class.items()}
    validation_fraction = 0.0 if config.is_undivided else config.validation_fraction
    splits: dict[str, list[list[int]]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for name in class_names:
        if listing.splits:
            train, validation, test = (shuffled.get((split, name), []) for split in splits)
            if VALIDATION not in listing.splits:
                train, validation = _divide(train, validation_fraction)
        else:
            rest, test = _divide(shuffled.get((None, name), []), config.test_fraction)
            train, validation = _divide(rest, validation_fraction / (1 - config.test_fraction))
        for members, split in zip((train, validation, test), splits.values(), strict=True):
            split.append(members)
        counts = {split: len(members[-1]) for split, members in splits.items()}
        if problem := _problem(config, listing, counts):
            raise DataError("; ".join([f"class {name!r} in {config.folder} {problem}", *warnings]))
    return splits


def _shuffle(members: list[int], files: list[ImageFile], seed: int) -> list[int]:
    """Return the members in a random order, in which the position of each depends only on its path and the seed."""
    return sorted(members, key=lambda index: hashlib.sha256(f"{seed}/{files[index].path}".encode()).digest())


def _divide(members: list[int], fraction: float) -> tuple[list[int], list[int]]:
    """Return the rest and the fraction, which is at least one member unless there is none or the fraction is 0."""
    count = min(len(members), max(fraction > 0, round(fraction * len(members))))
    return members[count:], members[:count]


def _problem(config: ImageFolderConfig, listing: Listing, counts: dict[str, int]) -> str | None:
    """Return the problem with a class that has these numbers of images in the splits, or None."""
    without = [split for split, count in counts.items() if count == 0]
    if config.is_undivided and VALIDATION in without:
        without.remove(VALIDATION)
    if not without:
        return None
    total = sum(counts.values())
    found = f"has {total or 'no'} usable image{'s' * (total != 1)}: "
    if total == 0:
        return found + "put some into its folder, or remove the folder"
    if listing.splits:
        return found + f"none of them for {' and '.join(without)}; every class needs at least one in each split"
    minimum = 2 if config.is_undivided else 3
    return found + f"at least {minimum} are needed, one for each split; add some, or remove its folder"
