"""Data sets as arrays in memory: found, verified, split and limited.

`LOADERS` maps a data set's `loader` to the function that reads its source; everything after that is the same for all.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.datasets.arrays import Arrays, Images, Labels
from src.datasets.idx import load_idx
from src.datasets.synthetic import load_synthetic
from src.errors import ConfigError, DataError
from src.schema import DatasetConfig, IdxConfig

LOADERS: dict[str, Callable[..., Arrays]] = {"idx": load_idx, "synthetic": load_synthetic}


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: uint8, (n, height, width, channels), 0-255.
        labels: uint8, (n,), indices into the data set's class names.
    """

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int | None) -> "Split":
        """The first `count` images, or all of them when it is None."""
        return self if count is None else Split(self.images[:count], self.labels[:count])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set ready for training.

    Attributes:
        name: the data set's name.
        train: what is trained on, after validation was set aside and `limit` was applied.
        validation: what chooses the best epoch, or None when there is none.
        test: what is scored once.
        input_shape: (height, width, channels).
        class_names: one for each label, in the labels' order.
        digest: SHA-256 in hex over the source's image bytes, train then test, then its label bytes; it does not
            depend on the container, the split into train and validation, or the limit.
        source: where the images came from: `full`, `sample` or `synthetic`.
        warnings: what a reader of the results must know.
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

    def head(self, count: int | None) -> "Dataset":
        """The same data set with at most `count` images in each split."""
        validation = self.validation and self.validation.head(count)
        return dataclasses.replace(
            self, train=self.train.head(count), validation=validation, test=self.test.head(count)
        )


def load_dataset(config: DatasetConfig) -> Dataset:
    """The data set that the config names.

    Raises:
        ConfigError: a loader that does not exist, or a validation split that leaves nothing to train on.
        DataError: the data cannot be found, is damaged, or is not what the config says it is.
    """
    if config.loader not in LOADERS:
        raise ConfigError(f"dataset.loader: no loader {config.loader!r}; known: {', '.join(LOADERS)}")
    arrays = LOADERS[config.loader](config)
    _check_images(config, arrays)
    train, validation = _split(config, arrays)
    return Dataset(
        name=config.name,
        train=train.head(config.limit),
        validation=validation,
        test=Split(arrays.test_images, arrays.test_labels),
        input_shape=config.input_shape,
        class_names=list(config.class_names),
        digest=content_digest(arrays),
        source=arrays.source,
        warnings=arrays.warnings,
    )


def moved_to(config: DatasetConfig, data_dir: str) -> DatasetConfig:
    """The same data set, looked for below another folder first."""
    if not isinstance(config, IdxConfig):
        return config
    first = str(Path(data_dir) / Path(config.folders[0]).name)
    return dataclasses.replace(config, data_dir=data_dir, folders=[first, *config.folders[1:]])


def content_digest(arrays: Arrays) -> str:
    """SHA-256 in hex over image bytes (train, test), then label bytes (train, test)."""
    sha = hashlib.sha256()
    for part in (arrays.train_images, arrays.test_images, arrays.train_labels, arrays.test_labels):
        sha.update(np.ascontiguousarray(part).data)
    return sha.hexdigest()


def _check_images(config: DatasetConfig, arrays: Arrays) -> None:
    if arrays.train_images.shape[1:] != config.input_shape:
        raise DataError(
            f"{config.name}: its images are {_by(arrays.train_images.shape[1:])}, "
            f"the config says {_by(config.input_shape)}; correct dataset.image_size and dataset.channels"
        )
    classes = int(max(arrays.train_labels.max(), arrays.test_labels.max())) + 1
    if classes != config.num_classes:
        raise DataError(
            f"{config.name}: its labels run from 0 to {classes - 1}, "
            f"but dataset.class_names has {config.num_classes} names; give {classes} names"
        )


def _split(config: DatasetConfig, arrays: Arrays) -> tuple[Split, Split | None]:
    size = arrays.validation_size if config.validation_size is None else config.validation_size
    everything = Split(arrays.train_images, arrays.train_labels)
    if size >= len(everything):
        raise ConfigError(
            f"dataset.validation_size: {size} leaves nothing of the {len(everything)} training images of {config.name} "
            f"({arrays.source}); use less than {len(everything)}"
        )
    if size == 0:
        return everything, None
    return Split(arrays.train_images[size:], arrays.train_labels[size:]), everything.head(size)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
