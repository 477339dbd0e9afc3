"""Near copies of images, and folders of images in which some are planted together with wrong labels."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]  # (height, width) or (height, width, 3)
KINDS = ("moved", "brighter", "jpeg", "noisy")


def near_copy(image: Pixels, kind: str, seed: int) -> Pixels:
    """The image moved by a pixel, brighter, after a JPEG compression of quality 30 to 70, or with slight noise."""
    random = np.random.default_rng(seed)
    if kind == "moved":
        down, across = ((0, 1), (1, 0), (2, 1), (1, 2), (2, 2))[random.integers(5)]
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0))[: image.ndim], mode="edge")
        return padded[down : down + image.shape[0], across : across + image.shape[1]]
    if kind == "brighter":
        return np.clip(image * 1.2 + 10, 0, 255).astype(np.uint8)
    if kind == "jpeg":
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=(30, 50, 70)[random.integers(3)])
        return np.asarray(Image.open(file))
    return np.clip(image + random.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


class Planted(NamedTuple):
    """Pairs of an image for training and its near copy for testing, and images with a wrong label: their files."""

    copies: set[frozenset[str]]
    wrong: set[str]


def write_planted(
    folder: Path, images: Sequence[Pixels], labels: Sequence[int], copies: int, wrong: int, seed: int = 0
) -> Planted:
    """Write PNG files into folders of classes below `train` and `test`, with near copies and wrong labels."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(images)).tolist()
    tested = len(images) // 5
    given = list(map(int, labels))
    classes = max(given) + 1
    for number in order[tested : tested + wrong]:
        given[number] = (given[number] + 1 + int(random.integers(classes - 1))) % classes

    def write(image: Pixels, split: str, label: int, name: str) -> str:
        file = folder / split / str(label) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
        return file.relative_to(folder).as_posix()

    files = {
        number: write(images[number], "test" if place < tested else "train", given[number], f"{number:05}.png")
        for place, number in enumerate(order)
    }
    pairs = set()
    for place, number in enumerate(order[tested + wrong : tested + wrong + copies]):
        copied = near_copy(images[number], KINDS[place % len(KINDS)], seed=place)
        pairs.add(frozenset((files[number], write(copied, "test", given[number], f"copy{place:02}.png"))))
    return Planted(pairs, {files[number] for number in order[tested : tested + wrong]})
