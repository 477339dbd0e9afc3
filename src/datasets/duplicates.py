"""Images of which another split has an exact copy: what a model has seen says little about what it can do."""

import hashlib
from collections.abc import Sequence

from src.datasets.arrays import Duplicate, Images


def find_duplicates(splits: Sequence[tuple[str, Images, Sequence[str]]]) -> list[Duplicate]:
    """One entry for each image whose pixels occur in an earlier split, with the first image there that has them.

    Args:
        splits: name, images and their files of each split, such as train, validation, test.
    """
    first: dict[bytes, tuple[str, str]] = {}
    duplicates = []
    for split, images, files in splits:
        own: dict[bytes, tuple[str, str]] = {}
        for image, file in zip(images, files, strict=True):
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            if digest in first:
                duplicates.append(Duplicate(split, file, *first[digest]))
            else:
                own.setdefault(digest, (split, file))
        first |= own
    return duplicates
