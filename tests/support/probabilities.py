"""Labels and probabilities of models that exist only as numbers, data sets of them, and their metrics."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from src.datasets import Dataset, Split

Labels = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.float32]


def random_model(seed: int, images: int, classes: int = 3, skill: float = 1.0) -> tuple[Labels, Probabilities]:
    """Return labels and the probabilities of a model: softmax of noise, with `skill` added for the true class.

    The labels depend on the seed and the numbers only, and the noise does too.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    logits = random.normal(size=(images, classes)) + skill * np.eye(classes)[labels]
    return labels, softmax(logits)


def given_dataset(labels: Labels, class_names: Sequence[str]) -> Dataset:
    """Return a data set of black images with these labels in each split."""
    split = Split(np.zeros((len(labels), 4, 4, 1), np.uint8), labels.astype(np.uint8))
    return Dataset(
        name="given",
        train=split,
        validation=split,
        test=split,
        input_shape=(4, 4, 1),
        class_names=list(class_names),
        digest="0" * 64,
        source="folder",
    )


def softmax(logits: npt.NDArray[np.float64]) -> Probabilities:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def accuracy(labels: Labels, probabilities: Probabilities) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def brier(labels: Labels, probabilities: Probabilities) -> float:
    return float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1).mean())


def nan_without_class_0(labels: Labels, probabilities: Probabilities) -> float:
    return 1.0 if (labels == 0).any() else math.nan
