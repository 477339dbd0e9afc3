"""Images with an exact copy in an earlier split."""

import numpy as np

from src.datasets.arrays import Duplicate
from src.datasets.duplicates import find_duplicates


def shades(*values: int) -> np.ndarray:
    """An image of each shade."""
    return np.stack([np.full((2, 3, 1), value, np.uint8) for value in values])


def test_each_copy_is_listed_with_the_first_image_of_the_earliest_split() -> None:
    splits = [
        ("train", shades(1, 2, 2), ["a", "b", "c"]),
        ("validation", shades(2, 3), ["d", "e"]),
        ("test", shades(3, 2, 4), ["f", "g", "h"]),
    ]
    assert find_duplicates(splits) == [
        Duplicate("validation", "d", "train", "b"),
        Duplicate("test", "f", "validation", "e"),
        Duplicate("test", "g", "train", "b"),
    ]


def test_copies_within_a_split_are_not_listed() -> None:
    assert find_duplicates([("train", shades(1, 1), ["a", "b"]), ("test", shades(2, 2), ["c", "d"])]) == []


def test_an_image_that_differs_in_one_pixel_is_not_a_copy() -> None:
    changed = shades(1)
    changed[0, 1, 2, 0] += 1
    assert find_duplicates([("train", shades(1), ["a"]), ("test", changed, ["b"])]) == []


def test_every_copy_in_a_later_split_is_listed() -> None:
    found = find_duplicates([("train", shades(7), ["a"]), ("test", shades(7, 7), ["b", "c"])])
    assert [duplicate.file for duplicate in found] == ["b", "c"]
    assert {duplicate.other_file for duplicate in found} == {"a"}


def test_empty_splits_have_no_copies() -> None:
    nothing = np.empty((0, 2, 3, 1), np.uint8)
    assert find_duplicates([("train", shades(1), ["a"]), ("validation", nothing, []), ("test", shades(2), ["b"])]) == []
