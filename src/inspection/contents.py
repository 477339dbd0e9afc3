"""The contents of a data set, seen before training: images by class and split, copies, images with two labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from src import datasets
from src.inspection.duplicates import find_pairs

MIN_IMAGES = 20  # for training in each class; one odd image among fewer is more than 5 %
UNBALANCED = 3  # times as many training images of one class as of another are worth a warning
MAX_NAMED = 5  # classes in a warning
WEIGH_CLASSES = "training.class_weights=balanced gives each class the same weight"
JUDGE_CLASSES = "training.monitor=val_macro_f1 selects the epoch by the mean over the classes"


class Place(NamedTuple):
    """An image in a data set: its split and its number there, the name of its class, and its file if it has one."""

    split: str
    number: int
    class_name: str
    file: str | None

    @property
    def name(self) -> str:
        """The file of the image, or `train #787` from its number in the split."""
        return self.file if self.file is not None else f"{self.split} #{self.number}"


class ImagePair(NamedTuple):
    """Two images that are equal or nearly equal.

    Attributes:
        first, second: their places; the first is never in a later split than the second.
        similarity: the correlation of their pixels, 0-1.
        is_equal: True if all pixels are equal.
    """

    first: Place
    second: Place
    similarity: float
    is_equal: bool

    @property
    def is_leak(self) -> bool:
        """True if the images are in two splits: a score on one of them means little."""
        return self.first.split != self.second.split

    @property
    def is_conflict(self) -> bool:
        """True if the images have different labels, of which one is wrong."""
        return self.first.class_name != self.second.class_name


def splits_of(dataset: datasets.Dataset) -> dict[str, tuple[datasets.Split, Sequence[str] | None]]:
    """Return the splits of the data set by name, each with the files of its images; None for images without files."""
    splits: dict[str, tuple[datasets.Split, Sequence[str] | None]] = {"train": (dataset.train, dataset.train_files)}
    if dataset.validation is not None:
        splits["validation"] = (dataset.validation, dataset.validation_files)
    return splits | {"test": (dataset.test, dataset.test_files)}


def pairs_of(dataset: datasets.Dataset) -> list[ImagePair]:
    """Return the pairs of equal and nearly equal images: those with two labels first, then those in two splits."""
    splits = splits_of(dataset)
    places = [(name, index) for name, (split, _) in splits.items() for index in range(len(split))]

    def place(number: int) -> Place:
        name, index = places[number]
        split, files = splits[name]
        return Place(name, index, dataset.class_names[split.labels[index]], files[index] if files else None)

    found = find_pairs([split.images for split, _ in splits.values()])
    pairs = [ImagePair(place(pair.first), place(pair.second), pair.similarity, pair.is_equal) for pair in found]
    return sorted(pairs, key=lambda pair: (not pair.is_conflict, not pair.is_leak, not pair.is_equal))


def count_pairs(pairs: Sequence[ImagePair]) -> list[tuple[str, int, int, int]]:
    """Return how many pairs are within each split and in each two splits.

    Returns:
        Rows of a place such as `within train`, and the numbers of equal, nearly equal and conflicting pairs.
    """
    by_place: dict[str, list[ImagePair]] = {}
    for pair in pairs:
        place = f"{pair.first.split} and {pair.second.split}" if pair.is_leak else f"within {pair.first.split}"
        by_place.setdefault(place, []).append(pair)
    return [
        (
            place,
            sum(pair.is_equal for pair in found),
            sum(not pair.is_equal for pair in found),
            sum(pair.is_conflict for pair in found),
        )
        for place, found in sorted(by_place.items())
    ]


def size_table(headers: Sequence[datasets.Header]) -> list[tuple[str, float, float, float]]:
    """Return minimum, median and maximum of width, height (pixels) and aspect ratio (width / height) of the files."""
    sizes = np.array([(header.width, header.height) for header in headers], np.float64)
    columns = {"width": sizes[:, 0], "height": sizes[:, 1], "width / height": sizes[:, 0] / sizes[:, 1]}
    return [
        (name, float(values.min()), float(np.median(values)), float(values.max())) for name, values in columns.items()
    ]


def count_kinds(headers: Sequence[datasets.Header]) -> dict[str, Counter[str]]:
    """Return how many files have each format and each color mode."""
    return {
        "format": Counter(header.format for header in headers),
        "colors": Counter(header.mode for header in headers),
    }


def warnings_of(dataset: datasets.Dataset, headers: Sequence[datasets.Header], pairs: Sequence[ImagePair]) -> list[str]:
    """Return sentences about what harms a training or its scores, each with what to do."""
    counts = {name: train for name, train, _, _ in dataset.class_counts()}
    return [
        *_warn_of_few_images(counts),
        *_warn_of_unbalanced_classes(counts),
        *_warn_of_sizes(dataset, headers),
        *_warn_of_pairs(pairs),
    ]


def _warn_of_few_images(counts: Mapping[str, int]) -> list[str]:
    few = [f"{name!r} ({count})" for name, count in counts.items() if count < MIN_IMAGES]
    if not few:
        return []
    classes = f"{len(few)} class{'es have' if len(few) > 1 else ' has'}"
    more = ", ..." if len(few) > MAX_NAMED else ""
    return [
        f"{classes} fewer than {MIN_IMAGES} training images: {', '.join(few[:MAX_NAMED])}{more}; add some, or start "
        "from a pretrained network with model=transfer"
    ]


def _warn_of_unbalanced_classes(counts: Mapping[str, int]) -> list[str]:
    found = describe_unbalanced(counts)
    return [f"{found}; {WEIGH_CLASSES}; {JUDGE_CLASSES}"] if found else []


def describe_unbalanced(counts: Mapping[str, int]) -> str:
    """Return the classes with most and fewest training images; "" if the ratio of their numbers is less than three.

    Args:
        counts: the number of training images of each class.
    """
    (large, most), (small, least) = (choose(counts.items(), key=itemgetter(1)) for choose in (max, min))
    if most < UNBALANCED * least:
        return ""
    if not least:
        return f"class {large!r} has {most:,} training images and {small!r} has none"
    times = f"{most / least:.1f} times as many training images as {small!r}"
    return f"class {large!r} has {times} ({most:,} and {least:,})"


def _warn_of_sizes(dataset: datasets.Dataset, headers: Sequence[datasets.Header]) -> list[str]:
    height, width, _ = dataset.input_shape
    smaller = sum(header.height < height and header.width < width for header in headers)
    if 2 * smaller <= len(headers):
        return []
    return [
        f"{smaller:,} of {len(headers):,} files are smaller than {height}x{width} pixels, and are enlarged; set a "
        "smaller dataset.image_size"
    ]


def _warn_of_pairs(pairs: Sequence[ImagePair]) -> list[str]:
    warnings = []
    if conflicts := sum(pair.is_conflict for pair in pairs):
        warnings.append(
            f"{_pairs(conflicts)} of equal or nearly equal images {'have' if conflicts > 1 else 'has'} two labels; "
            "correct the label of one image"
        )
    if leaks := sum(pair.is_leak for pair in pairs):
        warnings.append(
            f"{_pairs(leaks)} of equal or nearly equal images {'are' if leaks > 1 else 'is'} in two splits: scores on "
            "them mean little; if they are copies, remove one, or put both into the same split (in a manifest: the "
            "same group)"
        )
    return warnings


def _pairs(count: int) -> str:
    return f"{count:,} pair{'s' * (count != 1)}"
