"""What every loader returns."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A source as it was read, before it is split.

    Attributes:
        train_images, test_images: uint8, (n, height, width, channels), 0-255.
        train_labels, test_labels: uint8, (n,).
        validation_size: how many of the first training images are this source's own validation split.
        source: `full`, `sample` or `synthetic`.
        warnings: what a reader of the results must know.
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    validation_size: int
    source: str
    warnings: list[str] = field(default_factory=list)
