"""Data sets as arrays: find, verify, split and limit them.

A data set's config says which function reads its source; everything after that is the same for all.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from src.datasets.arrays import DUPLICATES_TABLE, Arrays, BadFile, Duplicate, Images, Labels, Listed
from src.datasets.duplicates import find_duplicates
from src.datasets.folds import put_fold_first
from src.errors import ConfigError, DataError
from src.places import local_path
from src.schema import DatasetConfig, load_name

CHUNK_BYTES = 32 * 2**20  # of images that are hashed together, so that mapped images need not all be in memory


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: uint8, (n, height, width, channels), 0-255; an `np.memmap` when they are too many for the memory.
        labels: an unsigned type, (n,), indices into the data set's class names.
    """

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int | None) -> Split:
        """Return the first `count` images, or all of them when it is None."""
        return self if count is None else Split(self.images[:count], self.labels[:count])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set ready for training.

    Attributes:
        name: the data set's name.
        train: the images to train on, without the validation split and after `limit` was applied.
        validation: the images that select the best epoch, or None.
        test: the images that are scored once.
        train_files, validation_files, test_files: the path of each image of the split below the data set's folder, None
            for a published data set.
        validation_indices: int64, the place of each validation image among all training images of the source.
        input_shape: (height, width, channels).
        class_names: one for each label, in the labels' order.
        digest: SHA-256 in hex over the image bytes, train then test, then the label bytes, then the splits and groups
            that the data gives; it does not depend on the file format, on splits that are made, or on the limit.
        source: the origin of the images: `full`, `sample`, `folder`, `manifest`, `arrays` or `synthetic`.
        warnings: sentences that a reader of the results must know.
        notes: sentences about how the source was read.
        bad_files: the files that were skipped or converted.
        duplicates: images of a folder or manifest that an earlier split contains too.
    """

    name: str
    train: Split
    validation: Split | None
    test: Split
    input_shape: tuple[int, int, int]
    class_names: list[str]
    digest: str
    source: str
    warnings: list[str] = dataclasses.field(default_factory=list)
    bad_files: list[BadFile] = dataclasses.field(default_factory=list)
    duplicates: list[Duplicate] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    train_files: list[str] | None = None
    validation_files: list[str] | None = None
    test_files: list[str] | None = None
    validation_indices: npt.NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.empty(0, np.int64))

    def class_counts(self) -> list[tuple[str, int, int, int]]:
        """Return each class with its numbers of images for training, validation and testing."""
        splits = (self.train, self.validation or self.train.head(0), self.test)
        counts = (np.bincount(split.labels, minlength=len(self.class_names)).tolist() for split in splits)
        return list(zip(self.class_names, *counts, strict=True))

    def head(self, count: int | None) -> Dataset:
        """Return the same data set with at most `count` images in each split."""
        validation = self.validation and self.validation.head(count)
        return dataclasses.replace(
            self,
            train=self.train.head(count),
            validation=validation,
            test=self.test.head(count),
            train_files=self.train_files and self.train_files[:count],
            validation_files=self.validation_files and self.validation_files[:count],
            test_files=self.test_files and self.test_files[:count],
            validation_indices=self.validation_indices[:count],
        )


def in_run(table: str) -> str:
    """Return the words of a warning about a table of the run."""
    return f"the run's tables/{table} lists them"


def load_dataset(config: DatasetConfig, lister: Callable[[str], str] = in_run) -> Dataset:
    """Return the data set of a config.

    Args:
        config: the data set.
        lister: returns the words of a warning about a table with this file name.

    Raises:
        ConfigError: the validation split leaves nothing to train on.
        DataError: the data cannot be found, is damaged, is not what the config says, or is too small for its folds.
    """
    arrays: Arrays = config.build(Arrays, config)
    if config.is_foreign:
        _check_arrays(config, arrays)
    class_names = list(arrays.class_names or config.class_names)
    _check_images(config, arrays, len(class_names))
    digest = content_digest(arrays)
    if config.folds is not None:
        arrays = put_fold_first(config, arrays, class_names)
    train, validation = _split(config, arrays)
    size = len(validation or ())
    duplicates = _duplicates(arrays, size)
    listed = [*arrays.listed, *_warn_of_duplicates(duplicates)]
    return Dataset(
        name=config.name,
        train=train.head(config.limit),
        validation=validation,
        test=Split(arrays.test_images, arrays.test_labels),
        input_shape=config.input_shape,
        class_names=class_names,
        digest=digest,
        source=arrays.source,
        warnings=[*(warning.worded(lister) for warning in listed), *arrays.warnings],
        bad_files=arrays.bad_files,
        duplicates=duplicates,
        notes=arrays.notes,
        train_files=arrays.train_files and arrays.train_files[size:][: config.limit],
        validation_files=arrays.train_files and arrays.train_files[:size],
        test_files=arrays.test_files,
        validation_indices=np.arange(size) if arrays.train_indices is None else arrays.train_indices[:size],
    )


def class_names_of(config: DatasetConfig) -> list[str]:
    """Return the names of the classes, from the config or from the data; no image is read.

    Raises:
        DataError: they come from the data, which is missing or wrong.
    """
    if config.class_names or not config.lists:
        return list(config.class_names)
    names: list[str] = load_name(config.lists)(config)
    return names


def check_dataset(config: DatasetConfig) -> None:
    """Raise DataError for a user's own data that is missing, or whose classes are wrong; opens no image."""
    if config.lists:
        load_name(config.lists)(config)


def check_outside(config: DatasetConfig, output: str) -> None:
    """Raise ConfigError for an output folder inside a user's own data, whose pictures would be among the images."""
    root = None if config.root is None else local_path(config.root).resolve()
    if root is not None and local_path(output).resolve().is_relative_to(root):
        raise ConfigError(f"output={output}: the folder is inside the data set, {root}; name another folder")


def find_below(config: DatasetConfig, data_dir: str) -> DatasetConfig:
    """Return the config of the same data set, which is searched below this folder first."""
    moved = config.below(data_dir)
    if config.root is None or moved.root is None:
        return moved
    is_only_here = local_path(config.root).exists() and not local_path(moved.root).exists()
    return config if is_only_here else moved


def content_digest(arrays: Arrays) -> str:
    """Return the SHA-256 in hex over the image bytes (train, test), the label bytes (train, test), and the assignment.

    Images with paths are hashed in the order of their paths, because their order in the arrays depends on the
    validation split.
    """
    sha = hashlib.sha256()
    for kind in ("images", "labels"):
        for split in ("train", "test"):
            part, files = getattr(arrays, f"{split}_{kind}"), getattr(arrays, f"{split}_files")
            if files is None:
                step = max(1, CHUNK_BYTES // max(1, part[:1].nbytes))
                chunks = (part[start : start + step] for start in range(0, len(part), step))
            else:
                chunks = (part[index : index + 1] for index in np.argsort(files))  # without a copy of the images
            for chunk in chunks:
                sha.update(np.ascontiguousarray(chunk).data)
    sha.update(arrays.assignment)
    return sha.hexdigest()


def _check_arrays(config: DatasetConfig, arrays: Arrays) -> None:
    """Raise DataError unless a user's arrays are what `Arrays` describes."""
    what = f"dataset {config.kind}: {config.builds} returned"
    for split in ("train", "test"):
        images = np.asanyarray(getattr(arrays, f"{split}_images"))
        labels = np.asanyarray(getattr(arrays, f"{split}_labels"))
        files = getattr(arrays, f"{split}_files")
        are_images = images.dtype == np.uint8 and images.ndim == 4 and len(images) >= 1
        are_labels = np.issubdtype(labels.dtype, np.integer) and labels.shape == images.shape[:1]
        if not (are_images and are_labels and (files is None or len(files) == len(images))):
            raise DataError(
                f"{what} {split} images {images.dtype} {images.shape} with labels {labels.dtype} {labels.shape}; "
                "expected images uint8 (n, height, width, channels), at least one, and as many labels, integers (n,)"
            )
        if labels.min() < 0:
            raise DataError(f"{what} the label {labels.min()}; expected 0 or more")
    if arrays.validation_size < 0:
        raise DataError(f"{what} validation_size={arrays.validation_size}; expected 0 or more")


def _check_images(config: DatasetConfig, arrays: Arrays, num_classes: int) -> None:
    if arrays.train_images.shape[1:] != config.input_shape:
        raise DataError(
            f"{config.name}: its images are {_shown(arrays.train_images.shape[1:])}, but the config says "
            f"{_shown(config.input_shape)}; correct dataset.image_size and dataset.channels"
        )
    classes = int(max(arrays.train_labels.max(), arrays.test_labels.max())) + 1
    if classes != num_classes:
        raise DataError(
            f"{config.name}: its labels are 0 to {classes - 1}, "
            f"but dataset.class_names has {num_classes} names; give {classes} names"
        )


def _split(config: DatasetConfig, arrays: Arrays) -> tuple[Split, Split | None]:
    size = arrays.validation_size if config.validation_size is None else config.validation_size
    everything = Split(arrays.train_images, arrays.train_labels)
    if size >= len(everything):
        raise ConfigError(
            f"dataset.validation_size={size} leaves none of the {len(everything)} training images of {config.name} "
            f"({arrays.source}); use less than {len(everything)}"
        )
    if size == 0:
        return everything, None
    return Split(arrays.train_images[size:], arrays.train_labels[size:]), everything.head(size)


def _duplicates(arrays: Arrays, validation_size: int) -> list[Duplicate]:
    """Return the images in two splits of a folder. Published data sets are not searched: their splits are fixed."""
    if arrays.train_files is None or arrays.test_files is None:
        return []
    images, files = arrays.train_images, arrays.train_files
    return find_duplicates(
        [
            ("train", images[validation_size:], files[validation_size:]),
            ("validation", images[:validation_size], files[:validation_size]),
            ("test", arrays.test_images, arrays.test_files),
        ]
    )


def _warn_of_duplicates(duplicates: list[Duplicate]) -> list[Listed]:
    """Return a list with one warning, empty when there are no duplicates."""
    if not duplicates:
        return []
    counts = Counter((duplicate.split, duplicate.other_split) for duplicate in duplicates)
    places = ", ".join(f"{count} in {split} and in {other}" for (split, other), count in counts.items())
    problem = f"{len(duplicates)} images are in two splits with the same pixels ({places}): scores on them mean little"
    return [Listed(problem, DUPLICATES_TABLE)]


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
