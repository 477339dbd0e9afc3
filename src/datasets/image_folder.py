"""Image files in folders: listed, decoded, and dealt to the splits so that each has its share of every class."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from src.datasets.arrays import Arrays, BadFile
from src.datasets.cache import arranged, decoded_images
from src.datasets.listing import TEST, TRAIN, VALIDATION, ImageFile, Listing, list_images
from src.errors import ConfigError, DataError
from src.places import local_path
from src.schema import ImageFolderConfig

SHOWN = 5  # bad files in an error message; a run's table has them all


def load_image_folder(config: ImageFolderConfig) -> Arrays:
    """The folder's images in an order in which every run of training images is about stratified.

    The first of them are the validation split: a share of each class, or the folder `validation`. An image's place
    among those of its class depends on its path and `split_seed` alone: files that come or go hardly move the others.

    Raises:
        ConfigError: a validation size beside a folder `validation`.
        DataError: the folder is missing, its classes are not those of the config, a class has too few images, or there
            are bad files and `on_bad_image` is `error`.
    """
    folder = local_path(config.folder)
    listing = list_images(folder)
    class_names = _checked_classes(config, listing.class_names)
    if VALIDATION in listing.splits and config.validation_size:
        raise ConfigError(
            f"dataset.validation_size={config.validation_size}: {folder} has a folder {VALIDATION}, which is the "
            "validation split; leave dataset.validation_size out, or set it to 0 to train on that folder too"
        )
    images, undecoded = decoded_images(config, listing.files)
    bad_files = sorted([*listing.bad_files, *undecoded])
    warnings = _told(config, bad_files, len(listing.files) + len(listing.bad_files))
    left_out = {bad.path for bad in undecoded}
    files = [file for file in listing.files if file.path not in left_out]
    splits = _splits(config, listing, class_names, files, warnings)
    places = {split: deal(groups) for split, groups in splits.items()}
    label = {name: index for index, name in enumerate(class_names)}
    labels = np.array([label[file.class_name] for file in files], np.min_scalar_type(len(class_names) - 1))
    order = np.array([*places[VALIDATION], *places[TRAIN], *places[TEST]], np.int64)
    ordered, ordered_labels = arranged(images, order), labels[order]
    names = [files[at].path for at in order]
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


def deal(groups: Sequence[Sequence[int]]) -> list[int]:
    """The members of all groups in one row in which each group is spread evenly, in its own order.

    `deal([[1, 2, 3, 4], [10, 20]])` is `[1, 10, 2, 3, 20, 4]`.
    """
    placed = [
        ((rank + 0.5) / len(group), index, member)
        for index, group in enumerate(groups)
        for rank, member in enumerate(group)
    ]
    return [member for _, _, member in sorted(placed)]


def _checked_classes(config: ImageFolderConfig, found: list[str]) -> list[str]:
    """The classes in the config's order, or the folders' when it names none."""
    if not config.class_names:
        return found
    missing = [name for name in config.class_names if name not in found]
    extra = [name for name in found if name not in config.class_names]
    if missing or extra:
        parts = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("extra", extra)) if names]
        raise DataError(
            f"the folders in {config.folder} are not the {config.num_classes} classes of {config.name}; "
            f"{'; '.join(parts)}. Correct the folders, set dataset.folder to another one, or use dataset=image_folder, "
            "which takes the classes from the folders"
        )
    return list(config.class_names)


def _told(config: ImageFolderConfig, bad_files: list[BadFile], count: int) -> list[str]:
    """The warning about bad files, none where there are none.

    Raises:
        DataError: there are some and `on_bad_image` is `error`.
    """
    if not bad_files:
        return []
    reasons = Counter(bad.reason for bad in bad_files).most_common()
    counts = ", ".join(f"{number} {reason}" for reason, number in reasons)
    told = f"{len(bad_files)} of {count:,} image files in {config.folder} cannot be used ({counts})"
    if config.on_bad_image == "error":
        first = "; ".join(f"{bad.path}: {bad.reason}" for bad in bad_files[:SHOWN])
        more = "; ..." if len(bad_files) > SHOWN else ""
        raise DataError(f"{told}: {first}{more}. Mend or remove them, or skip them with dataset.on_bad_image=skip")
    return [f"{told} and are left out; the run's tables/bad_images.csv lists them"]


def _splits(
    config: ImageFolderConfig, listing: Listing, class_names: list[str], files: list[ImageFile], warnings: list[str]
) -> dict[str, list[list[int]]]:
    """Each split's files by their places, one list for each class.

    Raises:
        DataError: a class without an image in a split; the warnings may say why.
    """
    by_class: dict[tuple[str | None, str], list[int]] = {}
    for at, file in enumerate(files):
        by_class.setdefault((file.split, file.class_name), []).append(at)
    shuffled = {key: _shuffled(members, files, config.split_seed) for key, members in by_class.items()}
    validation_fraction = 0.0 if config.validation_size == 0 else config.validation_fraction
    splits: dict[str, list[list[int]]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for name in class_names:
        if listing.splits:
            train, validation, test = (shuffled.get((split, name), []) for split in splits)
            if VALIDATION not in listing.splits:
                train, validation = _share(train, validation_fraction)
        else:
            rest, test = _share(shuffled.get((None, name), []), config.test_fraction)
            train, validation = _share(rest, validation_fraction / (1 - config.test_fraction))
        for members, of_split in zip((train, validation, test), splits.values(), strict=True):
            of_split.append(members)
        counts = {split: len(members[-1]) for split, members in splits.items()}
        if problem := _problem(config, listing, counts):
            raise DataError("; ".join([f"class {name!r} in {config.folder} {problem}", *warnings]))
    return splits


def _shuffled(members: list[int], files: list[ImageFile], seed: int) -> list[int]:
    """The members in an order of the seed in which each one's place depends on its path alone."""
    return sorted(members, key=lambda at: hashlib.sha256(f"{seed}/{files[at].path}".encode()).digest())


def _share(members: list[int], fraction: float) -> tuple[list[int], list[int]]:
    """The rest, and the fraction: at least one member, unless there is none or the fraction is 0."""
    count = min(len(members), max(fraction > 0, round(fraction * len(members))))
    return members[count:], members[:count]


def _problem(config: ImageFolderConfig, listing: Listing, counts: dict[str, int]) -> str | None:
    """What is wrong with a class that has this many images in each split, or None."""
    without = [split for split, count in counts.items() if count == 0]
    if config.validation_size == 0 and VALIDATION in without:
        without.remove(VALIDATION)
    if not without:
        return None
    total = sum(counts.values())
    has = f"has {total or 'no'} usable image{'s' * (total != 1)}: "
    if total == 0:
        return has + "put some into its folder, or remove the folder"
    if listing.splits:
        return has + f"none of them for {' and '.join(without)}; every class needs at least one in each split"
    least = 2 if config.validation_size == 0 else 3
    return has + f"at least {least} are needed, one for each split; add some, or remove its folder"
