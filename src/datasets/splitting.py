"""A user's own images, divided among the splits: given splits are kept, the others are a share of each class."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from src.datasets.arrays import Arrays, BadFile, Images, Listed
from src.datasets.cache import reorder
from src.datasets.folds import assign_group_folds
from src.datasets.listing import SPLITS, TEST, TRAIN, VALIDATION, ImageFile
from src.errors import ConfigError, DataError
from src.schema import OwnDataConfig

MAX_PARTS = 10  # into which groups are divided to get a share of 1/10 or more

Pool = list[list[int]]  # the indices of the images of each class


class Source(NamedTuple):
    """A user's own images, in any order.

    Attributes:
        name: what `Arrays.source` will be.
        images: uint8, (n, height, width, channels), 0-255.
        files: the path, class, split and group of each.
        class_names: in the order of the labels.
        given: the splits that the data has; without them the split of a file is None.
        listed, notes: as in `Arrays`.
        bad_files: the files that were skipped or converted.
    """

    name: str
    images: Images
    files: Sequence[ImageFile]
    class_names: list[str]
    given: Sequence[str]
    listed: Sequence[Listed]
    notes: list[str]
    bad_files: list[BadFile]


def divide(config: OwnDataConfig, source: Source) -> Arrays:
    """Return the images in an order in which every part of the training images is nearly stratified.

    The first training images are the validation split: that of the data, or a share of each class. The position of an
    image among those of its class depends only on its path and `split_seed`, so that adding or removing images hardly
    moves the others. Images of a group are in one split; scikit-learn's `StratifiedGroupKFold` divides the groups.

    Raises:
        ConfigError: a validation size is set although the data has a validation split, or groups.
        DataError: a class has too few images or groups.
    """
    files, class_names = source.files, source.class_names
    has_groups = any(file.group is not None for file in files)
    _check_validation_size(config, source, has_groups)
    splits = _splits(config, source, has_groups)
    places = {split: deal(groups) for split, groups in splits.items()}
    label = {name: index for index, name in enumerate(class_names)}
    labels = np.array([label[file.class_name] for file in files], np.min_scalar_type(len(class_names) - 1))
    order = np.array([*places[VALIDATION], *places[TRAIN], *places[TEST]], np.int64)
    ordered, ordered_labels = reorder(source.images, order), labels[order]
    names = [files[index].path for index in order]
    train = len(order) - len(places[TEST])
    return Arrays(
        train_images=ordered[:train],
        train_labels=ordered_labels[:train],
        test_images=ordered[train:],
        test_labels=ordered_labels[train:],
        validation_size=len(places[VALIDATION]),
        source=source.name,
        warnings=_warn_of_twins(class_names),
        listed=source.listed,
        notes=[*source.notes, *_explain_missing(config, source.given)],
        class_names=class_names,
        train_files=names[:train],
        test_files=names[train:],
        train_groups=[str(files[index].group) for index in order[:train]] if has_groups else None,
        bad_files=source.bad_files,
    )


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


def _check_validation_size(config: OwnDataConfig, source: Source, has_groups: bool) -> None:
    if not config.validation_size:
        return
    given = f"dataset.validation_size={config.validation_size}"
    if VALIDATION in source.given:
        raise ConfigError(
            f"{given}: {config.place} has a validation split of its own; remove dataset.validation_size, or set it to "
            "0 to train on that split too"
        )
    if has_groups:
        raise ConfigError(
            f"{given}: {config.place} has groups, and a number of images could cut a group in two; remove "
            "dataset.validation_size and set dataset.validation_fraction"
        )


def _warn_of_twins(class_names: Sequence[str]) -> list[str]:
    """Return a warning for names of classes that people may take for the same, such as `Cat` and `cat`."""
    similar: dict[str, list[str]] = {}
    for name in class_names:
        plain = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
        similar.setdefault(plain, []).append(name)
    return [
        f"the classes {' and '.join(map(repr, names))} differ only in capitals, spaces or forms of letters; if they "
        "are the same class, give them the same name"
        for names in similar.values()
        if len(names) > 1
    ]


def _explain_missing(config: OwnDataConfig, given: Sequence[str]) -> list[str]:
    if not given or TEST in given:
        return []
    return [f"there is no split for testing: {config.test_fraction:.0%} of the training images are used for it"]


def _splits(config: OwnDataConfig, source: Source, has_groups: bool) -> dict[str, Pool]:
    """Return the indices of each split's files, as one list for each class.

    Raises:
        DataError: a class has no image in a split. The message ends with the warnings, which may explain it.
    """
    files, names, given = source.files, source.class_names, source.given
    by_class: dict[tuple[str | None, str], list[int]] = {}
    for index, file in enumerate(files):
        by_class.setdefault((file.split, file.class_name), []).append(index)
    pools: dict[str | None, Pool] = {
        split: [_shuffle(by_class.get((split, name), []), files, config.split_seed) for name in names]
        for split in (None, *SPLITS)
    }

    def take(pool: Pool, fraction: float) -> tuple[Pool, Pool]:
        if has_groups:
            return _take_groups(pool, files, fraction, config.split_seed)
        pairs = [_take(members, fraction) for members in pool]
        return [rest for rest, _ in pairs], [part for _, part in pairs]

    train, validation, test = pools[TRAIN if given else None], pools[VALIDATION], pools[TEST]
    share = 0.0 if config.is_undivided else config.validation_fraction
    if TEST not in given:
        train, test = take(train, config.test_fraction)
        share /= 1 - config.test_fraction
    if VALIDATION not in given:
        train, validation = take(train, share)
    splits = {TRAIN: train, VALIDATION: validation, TEST: test}
    for index, name in enumerate(names):
        counts = {split: len(pool[index]) for split, pool in splits.items()}
        groups = {str(file.group) for file in files if file.class_name == name} if has_groups else None
        if problem := _problem(config, given, counts, groups):
            raise DataError("; ".join([f"class {name!r} in {config.place} {problem}", *_explain(source)]))
    return splits


def _explain(source: Source) -> list[str]:
    """Return the warnings and the first bad file: no table lists them all yet."""
    first = [f"the first is {bad.path}: {bad.reason}" for bad in source.bad_files[:1]]
    return [*(warning.problem + warning.advice for warning in source.listed), *first]


def _shuffle(members: list[int], files: Sequence[ImageFile], seed: int) -> list[int]:
    """Return the members in a random order, in which the position of each depends only on its path and the seed."""
    return sorted(members, key=lambda index: hashlib.sha256(f"{seed}/{files[index].path}".encode()).digest())


def _take(members: list[int], fraction: float) -> tuple[list[int], list[int]]:
    """Return the rest and the fraction, which is at least one member unless there is none or the fraction is 0."""
    count = min(len(members), max(fraction > 0, round(fraction * len(members))))
    return members[count:], members[:count]


def _take_groups(pool: Pool, files: Sequence[ImageFile], fraction: float, seed: int) -> tuple[Pool, Pool]:
    """Return the rest and about the fraction, at least one group. Fewer than two groups all stay in the rest.

    The groups are divided into folds. The folds with the most classes and about the right size are taken.
    """
    labels = {index: label for label, members in enumerate(pool) for index in members}
    ordered = sorted(labels, key=lambda index: files[index].path)
    groups = [str(files[index].group) for index in ordered]
    share = _share(fraction)
    count = min(share.denominator, len(set(groups)), max((len(members) for members in pool), default=0))
    if fraction == 0 or count < 2:
        return pool, [[] for _ in pool]
    parts = max(1, min(share.numerator, count - 1))
    found = np.array([labels[index] for index in ordered])
    folds = assign_group_folds(found, groups, count, seed)

    def suitability(fold: int) -> tuple[int, float]:
        inside = folds == fold
        return -len(np.unique(found[inside])), abs(inside.sum() - fraction * len(folds) / parts)

    chosen = sorted(range(1, count + 1), key=suitability)[:parts]
    taken = {index for index, fold in zip(ordered, folds, strict=True) if fold in chosen}
    rest = [[index for index in members if index not in taken] for members in pool]
    return rest, [[index for index in members if index in taken] for members in pool]


def _share(fraction: float) -> Fraction:
    """Return a fraction with a small denominator: 0.15 is about 1/7, 0.3 is 3/10, 0.02 is 1/50."""
    if 0 < fraction < 1 / MAX_PARTS:
        return Fraction(1, round(1 / fraction))
    return Fraction(fraction).limit_denominator(MAX_PARTS)


def _problem(
    config: OwnDataConfig, given: Sequence[str], counts: dict[str, int], groups: set[str] | None
) -> str | None:
    """Return the problem with a class that has these numbers of images in the splits, or None.

    Args:
        config: the data set.
        given: the splits that the data has.
        counts: by split.
        groups: of the class, None if the data has no groups.
    """
    without = [split for split, count in counts.items() if count == 0]
    if config.is_undivided and VALIDATION in without:
        without.remove(VALIDATION)
    if not without:
        return None
    total = sum(counts.values())
    found = f"has {total or 'no'} usable image{'s' * (total != 1)}: "
    if total == 0:
        return found + "add some, or remove the class"
    if groups is not None:
        of = f"{len(groups)} group{'s' * (len(groups) != 1)}"
        return found + (
            f"none of them for {' and '.join(without)}, because they belong to {of} and all images of a group are in "
            "one split; add groups of the class, or set another dataset.split_seed"
        )
    if given:
        return found + f"none of them for {' and '.join(without)}; every class needs at least one in each split"
    minimum = 2 if config.is_undivided else 3
    return found + f"at least {minimum} are needed, one for each split; add some, or remove the class"
