"""Settings that suit a user's own images: the size that they are resized to, and the size of batches."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from src.datasets.headers import read_header
from src.datasets.images import ImageBytes, enforce_pixel_limit
from src.datasets.listing import TEST, TRAIN, VALIDATION, ImageFile
from src.schema import OwnDataConfig, PicturesConfig, Suggestion

MAX_OPENED = 200  # images whose sizes are read, spread evenly over the files: a tenth of a second
MAX_SIDE = 128  # pixels: larger images take minutes an epoch on a processor
MIN_SIDE = 16  # pixels: what the convolutions of the default network need
MULTIPLE = 16  # pixels: poolings by two leave no remainder
MAX_BATCH, MIN_BATCH = 128, 8  # images; with fewer than eight, the statistics of batch normalization are mostly noise
MIN_BATCHES = 25  # in an epoch: ten epochs then change the weights at least 250 times
LONG = 1.5  # ratio of the sides from which cropping to a square is mentioned

Size = tuple[int, int]  # height, width


def suggest_settings(
    config: PicturesConfig, files: Sequence[ImageFile], given: Sequence[str], sources: Iterable[Path | ImageBytes]
) -> Suggestion:
    """Return what suits the images of these files.

    Args:
        config: how images are divided and resized; its `image_size` is not read.
        files: the images.
        given: the splits that the data has.
        sources: the path or the content of each file, or of the first ones.
    """
    step = max(1, len(files) // MAX_OPENED)
    with enforce_pixel_limit():
        headers = [read_header(source) for source in islice(sources, 0, step * MAX_OPENED, step)]
    sizes = [(header.height, header.width) for header in headers if header is not None]
    image_size = suggest_image_size(sizes)
    count = count_training_images(config, [file.split for file in files], given)
    return Suggestion(image_size, suggest_batch_size(count), _explain(config, len(files), count, sizes, image_size))


def suggest_image_size(sizes: Sequence[Size]) -> list[int]:
    """Return height and width for images of these sizes.

    Images that all have the same size keep it, up to 128 pixels a side; very small ones are enlarged by an integer.
    Others get a square, whose side is that of the median image's shorter side, a multiple of 16 from 16 to 128.
    """
    if not sizes:
        return [MAX_SIDE, MAX_SIDE]
    height, width = sizes[0]
    if len(set(sizes)) == 1 and max(height, width) <= MAX_SIDE:
        factor = -(-MIN_SIDE // min(height, width))
        if max(height, width) * factor <= MAX_SIDE:
            return [height * factor, width * factor]
    shorter = statistics.median(min(size) for size in sizes)
    side = min(MAX_SIDE, max(MIN_SIDE, MULTIPLE * round(shorter / MULTIPLE)))
    return [side, side]


def suggest_batch_size(count: int) -> int:
    """Return the largest power of two from 8 to 128 that gives at least 25 batches of `count` images, else 8."""
    size = MAX_BATCH
    while size > MIN_BATCH and count < size * MIN_BATCHES:
        size //= 2
    return size


def count_training_images(config: OwnDataConfig, splits: Sequence[str | None], given: Sequence[str]) -> int:
    """Return about how many images are trained on.

    Args:
        config: the shares of the splits, and `limit`.
        splits: the split of each image, None if the data has no splits.
        given: the splits that the data has.
    """
    count: float = sum(split in (None, TRAIN) for split in splits)
    test = 0.0 if TEST in given else config.test_fraction
    validation = 0.0 if VALIDATION in given or config.is_undivided else config.validation_fraction
    count = round(count * (1 - test - validation))
    if config.folds is not None:
        count = round(count * (1 - 1 / config.folds))
    return min(count, config.limit or count)


def _explain(
    config: PicturesConfig, count: int, training: int, sizes: Sequence[Size], image_size: Sequence[int]
) -> list[str]:
    """Return a sentence about the images, and one about what cropping cuts off if that is much."""
    if not sizes:
        return []
    smallest, largest = min(sizes, key=_pixels), max(sizes, key=_pixels)
    middle = sorted(sizes, key=_pixels)[len(sizes) // 2]
    range_ = "" if smallest == largest else f", from {_shown(smallest)} to {_shown(largest)}"
    looked = f" (of {len(sizes)} that were opened)" if range_ and len(sizes) < count else ""
    reasons = [f"{count:,} images of {_shown(middle)} pixels{range_}{looked}; about {training:,} are for training"]
    ratio = statistics.median(max(size) / min(size) for size in sizes)
    if config.resize == "crop" and ratio >= LONG and image_size[0] == image_size[1]:
        reasons.append(
            f"the longer side is {ratio:.1f} times the shorter one: {1 - 1 / ratio:.0%} of an image is cut off; "
            "dataset.resize=pad keeps all of it"
        )
    return reasons


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _shown(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
