"""Images with an exact copy in another split. A score on images that a model was trained on means little."""

import hashlib
from collections.abc import Sequence

from src.datasets.arrays import Duplicate, Images


def find_duplicates(splits: Sequence[tuple[str, Images, Sequence[str]]]) -> list[Duplicate]:
    """Return an entry for each image that an earlier split contains too, with the first image there that is equal.

    Args:
        splits: the name, the images and their files of each split, such as train, validation, test.
    """
    first: dict[bytes, tuple[str, str]] = {}
    duplicates = []
    for split, images, files in splits:
        in_split: dict[bytes, tuple[str, str]] = {}
        for image, file in zip(images, files, strict=True):
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            if digest in first:
                duplicates.append(Duplicate(split, file, *first[digest]))
            else:
                in_split.setdefault(digest, (split, file))
        first |= in_split
    return duplicates
