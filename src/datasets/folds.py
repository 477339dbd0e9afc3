"""Folds of the training images, for cross-validation."""

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


def put_fold_first(config: DatasetConfig, arrays: Arrays, class_names: Sequence[str]) -> Arrays:
    """Return the arrays with the images of one fold as the validation split, which are the first training images.

    All images that are not for testing are divided, also those of the source's own validation split.

    Args:
        config: `folds`, `fold`, `fold_seed` and `limit` are read; the first `limit` images are divided.
        arrays: the data set as it was read.
        class_names: one for each label.

    Raises:
        DataError: a class has fewer images than there are folds.
    """
    assert config.folds is not None
    labels = arrays.train_labels[: config.limit]
    _check_classes(config.folds, labels, class_names)
    is_outside = assign_folds(labels, config.folds, config.fold_seed) != config.fold
    order = np.argsort(is_outside, kind="stable")
    return replace(
        arrays,
        train_images=reorder(arrays.train_images, order),
        train_labels=labels[order],
        train_files=arrays.train_files and [arrays.train_files[index] for index in order],
        train_indices=order,
        validation_size=int((~is_outside).sum()),
    )


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
