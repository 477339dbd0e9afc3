"""The arrays that every loader returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BAD_TABLE, DUPLICATES_TABLE = "bad_images.csv", "duplicates.csv"  # in a run, and in a report about the data
SKIPPED, CONVERTED = "skipped", "converted"

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.unsignedinteger]


class BadFile(NamedTuple):
    """A file that is not usable as it is: its path, the reason as one of a few fixed phrases, and what was done."""

    path: str
    reason: str
    result: str = SKIPPED


class Duplicate(NamedTuple):
    """An image with the same pixels as one in an earlier split: both splits, and the file in each."""

    split: str
    file: str
    other_split: str
    other_file: str


class Listed(NamedTuple):
    """A warning about images that a table lists: the problem, the file name of the table, and sentences after both."""

    problem: str
    table: str
    advice: str = ""

    def worded(self, lister: Callable[[str], str]) -> str:
        """Return the warning as text. `lister` returns the words about the table, such as `check/a.csv lists them`."""
        return f"{self.problem}; {lister(self.table)}{self.advice}"


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A data set as it was read, before it is split.

    Attributes:
        train_images, test_images: uint8, (n, height, width, channels), 0-255; mapped from a file when there are many.
        train_labels, test_labels: an unsigned type, (n,); uint8 for up to 256 classes.
        validation_size: number of the first training images that are the validation split by default.
        source: where they came from: `full`, `sample`, `folder`, `manifest`, `arrays` or `synthetic`.
        warnings: sentences that a reader of the results must know.
        listed: other such warnings, about images that a table lists.
        class_names: one for each label, None when the config contains them.
        train_files, test_files: the path of each image, None for a published data set.
        train_groups: the group of each training image; images of a group are in one split. None if there are no groups.
        assignment: what else decides the splits, as a part of the digest; empty if the order of the images shows it.
        notes: sentences about how the source was read.
        train_indices: the place of each training image in the source's order; None if they are in that order.
        bad_files: the files that were skipped or converted.
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    validation_size: int
    source: str
    warnings: list[str] = field(default_factory=list)
    listed: Sequence[Listed] = ()
    class_names: list[str] | None = None
    train_files: list[str] | None = None
    test_files: list[str] | None = None
    train_groups: list[str] | None = None
    assignment: bytes = b""
    notes: list[str] = field(default_factory=list)
    train_indices: npt.NDArray[np.int64] | None = None
    bad_files: list[BadFile] = field(default_factory=list)
