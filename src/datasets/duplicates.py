"""Images with an exact copy in another split. A score on images that a model was trained on means little."""

import zlib
from collections.abc import Sequence

import numpy as np

from src.datasets.arrays import Duplicate, Images


def find_duplicates(splits: Sequence[tuple[str, Images, Sequence[str]]]) -> list[Duplicate]:
    """Return an entry for each image that an earlier split contains too, with the first image there that is equal.

    Args:
        splits: the name, the images and their files of each split, such as train, validation, test.
    """
    first: dict[int, list[tuple[str, str, Images]]] = {}  # by a checksum, which different images may share
    duplicates = []
    for split, images, files in splits:
        in_split: dict[int, list[tuple[str, str, Images]]] = {}
        for image, file in zip(images, files, strict=True):
            checksum = zlib.crc32(np.ascontiguousarray(image).data)
            if found := _find_equal(image, first.get(checksum, ())):
                duplicates.append(Duplicate(split, file, *found))
            elif not _find_equal(image, in_split.get(checksum, ())):
                in_split.setdefault(checksum, []).append((split, file, image))
        for checksum, members in in_split.items():
            first.setdefault(checksum, []).extend(members)
    return duplicates


def _find_equal(image: Images, members: Sequence[tuple[str, str, Images]]) -> tuple[str, str] | None:
    """Return the split and the file of the first member with the same pixels, or None."""
    return next(((split, file) for split, file, other in members if np.array_equal(image, other)), None)
