"""Folds of the training images, for cross-validation."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from src.datasets.arrays import Arrays, Labels
from src.datasets.cache import reorder
from src.errors import DataError
from src.schema import DatasetConfig


def assign_folds(labels: Labels, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the fold of each image, (n,), from 1 to `count`.

    The images of a class, in random order, are dealt to the folds in turn, one class after the other. So the numbers of
    images in two folds differ by at most one, in total and in each class, as in scikit-learn's `StratifiedKFold`.

    Args:
        labels: (n,).
        count: the number of folds, at least 1.
        seed: decides which images of a class are in which fold.
    """
    shuffled = np.random.RandomState(seed).permutation(len(labels))  # NumPy never changes its numbers
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[by_class] = np.arange(len(labels)) % count + 1
    return folds


def assign_group_folds(
    labels: npt.NDArray[np.integer], groups: Sequence[str], count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the fold of each image, (n,), from 1 to `count`: all images of a group are in one fold.

    Scikit-learn's `StratifiedGroupKFold` makes the numbers of images of each class as equal as the groups allow. The
    result depends on the order of the images.

    Args:
        labels: (n,).
        groups: (n,), at least `count` different ones.
        count: the number of folds, at least 2, and at most the number of images of the largest class.
        seed: decides which groups are in which fold.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes half a second, and few data sets have groups

    folds = np.empty(len(labels), np.int64)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about rare classes, which are checked afterwards
        for fold, (_, inside) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups), start=1):
            folds[inside] = fold
    return folds


def put_fold_first(config: DatasetConfig, arrays: Arrays, class_names: Sequence[str]) -> Arrays:
    """Return the arrays with the images of one fold as the validation split, which are the first training images.

    All images that are not for testing are divided, also those of the source's own validation split.

    Args:
        config: `folds`, `fold`, `fold_seed` and `limit` are read; the first `limit` images are divided.
        arrays: the data set as it was read.
        class_names: one for each label.

    Raises:
        DataError: a class has fewer images or groups than there are folds.
    """
    assert config.folds is not None
    labels = arrays.train_labels[: config.limit]
    _check_classes(config.folds, labels, class_names)
    if arrays.train_groups is None:
        folds = assign_folds(labels, config.folds, config.fold_seed)
    else:
        folds = _assign_groups(config, arrays, labels, class_names)
    is_outside = folds != config.fold
    order = np.argsort(is_outside, kind="stable")
    return replace(
        arrays,
        train_images=reorder(arrays.train_images, order),
        train_labels=labels[order],
        train_groups=arrays.train_groups and [arrays.train_groups[index] for index in order],
        train_files=arrays.train_files and [arrays.train_files[index] for index in order],
        train_indices=order,
        validation_size=int((~is_outside).sum()),
    )


def _assign_groups(
    config: DatasetConfig, arrays: Arrays, labels: Labels, class_names: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the fold of each image, which does not depend on the order of the arrays.

    Raises:
        DataError: a class has fewer groups than there are folds, or would be missing in a fold.
    """
    count = config.folds
    assert arrays.train_groups is not None
    assert count is not None
    groups = np.array(arrays.train_groups[: len(labels)])
    by_class = [len(np.unique(groups[labels == label])) for label in range(len(class_names))]
    fewest = min(by_class)
    if fewest < count:
        fewer = f"use at most {fewest} folds, or add" if fewest > 1 else "add"
        raise DataError(
            f"dataset.folds={count}: the images of class {class_names[by_class.index(fewest)]!r} belong to {fewest} "
            f"group{'s' * (fewest != 1)}, and all images of a group are in one fold; {fewer} groups of the class"
        )
    order = np.argsort(arrays.train_files or np.arange(len(labels)).astype(str))
    order = order[order < len(labels)]
    folds = np.empty(len(labels), np.int64)
    folds[order] = assign_group_folds(labels[order], groups[order].tolist(), count, config.fold_seed)
    for fold in range(1, count + 1):
        missing = np.setdiff1d(np.arange(len(class_names)), labels[folds == fold])
        if len(missing):
            raise DataError(
                f"dataset.folds={count}: fold {fold} would have no image of class {class_names[missing[0]]!r}, because "
                "all images of a group are in one fold; use fewer folds, or another dataset.fold_seed"
            )
    return folds


def _check_classes(folds: int, labels: Labels, class_names: Sequence[str]) -> None:
    counts = np.bincount(labels, minlength=len(class_names))
    rarest = int(counts.argmin())
    count = int(counts[rarest])
    if count >= folds:
        return
    fewer = f"use at most {count} folds, or add images of the class" if count > 1 else "add images of the class"
    raise DataError(
        f"dataset.folds={folds}: class {class_names[rarest]!r} has {count} of the {len(labels):,} training images, so "
        f"some folds would have none of it; {fewer}"
    )
