"""What every loader returns."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.unsignedinteger]


class BadFile(NamedTuple):
    """A file that is left out: its path below the data set's folder, and why, in words that files are counted by."""

    path: str
    reason: str


class Duplicate(NamedTuple):
    """An image whose pixels occur in an earlier split as well, by the two splits and the files in them."""

    split: str
    file: str
    other_split: str
    other_file: str


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A source as it was read, before it is split.

    Attributes:
        train_images, test_images: uint8, (n, height, width, channels), 0-255; mapped from a file where they are many.
        train_labels, test_labels: an unsigned type, (n,); uint8 for up to 256 classes.
        validation_size: how many of the first training images are this source's own validation split.
        source: `full`, `sample`, `folder` or `synthetic`.
        warnings: what a reader of the results must know.
        class_names: one for each label, None where the config has them.
        train_files, test_files: where each image came from, None for a source that is no folder of images.
        bad_files: what was left out.
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    validation_size: int
    source: str
    warnings: list[str] = field(default_factory=list)
    class_names: list[str] | None = None
    train_files: list[str] | None = None
    test_files: list[str] | None = None
    bad_files: list[BadFile] = field(default_factory=list)
