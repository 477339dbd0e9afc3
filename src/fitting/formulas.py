"""The formulas of the metrics: functions of the labels, (n,), and the probabilities, float32, (n, classes), of a split.

They are the only definitions: for the validation split in each epoch, and for the test split. Where scikit-learn has
the metric, its value is the same, also for a class that does not occur.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from src.confidence import bin_predictions
from src.datasets.arrays import Labels

Probabilities = npt.NDArray[np.float32]
MetricFunction = Callable[[npt.NDArray[np.integer], Probabilities], float]
Counts = npt.NDArray[np.int64]

EPSILON = 1e-7  # the smallest probability in a logarithm, as in Keras
CHANCE = 0.5  # the area under the curve of an order that says nothing


def cross_entropy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean sparse categorical cross-entropy; like Keras, of probabilities that are never 0."""
    of_labels = _of_labels(labels, probabilities).astype(np.float64)
    return float(-np.log(np.clip(of_labels, EPSILON, 1.0)).mean())


def accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the fraction of correct predictions, 0-1."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def balanced_accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean recall of the classes that occur, 0-1."""
    right, images, _ = _counts(labels, probabilities)
    occurs = images > 0
    return float((right[occurs] / images[occurs]).mean())


def macro_precision(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean precision of the classes that occur or are predicted, 0-1; it is 0 for one never predicted."""
    right, images, predicted = _counts(labels, probabilities)
    return _macro(right, predicted, images + predicted)


def macro_recall(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean recall of the classes that occur or are predicted, 0-1; it is 0 for one that does not occur."""
    right, images, predicted = _counts(labels, probabilities)
    return _macro(right, images, images + predicted)


def macro_f1(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean F1 score of the classes that occur or are predicted, 0-1.

    The F1 score of a class is the harmonic mean of precision and recall, 2 right / (images + predicted).
    """
    right, images, predicted = _counts(labels, probabilities)
    return _macro(2 * right, images + predicted, images + predicted)


def top5_accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the share of images whose class is one of the five most probable ones, 0-1.

    Of equally probable classes those with larger labels come first, as in scikit-learn.
    """
    of_labels = _of_labels(labels, probabilities)[:, None]
    is_later = np.arange(probabilities.shape[1]) > labels[:, None]
    before = (probabilities > of_labels) | ((probabilities == of_labels) & is_later)
    return float((before.sum(axis=1) < 5).mean())


def auc(labels: Labels, probabilities: Probabilities) -> float:
    """Return the area under the ROC curve, one class against the rest, as the mean of the classes that occur, 0-1.

    For one class it is the share of pairs, an image of the class and another one, in which the former has the larger
    probability; an equal one counts half (Hanley and McNeil 1982). Without a pair in the split it is 0.5.
    """
    areas = [_area(labels == label, probabilities[:, label]) for label in np.unique(labels)]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else CHANCE


def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean squared difference between the probabilities and the right answer (Brier 1950).

    It is summed over the classes, 0-2; of two classes one is counted, 0-1, as in scikit-learn.
    """
    squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
    of_labels = _of_labels(labels, probabilities).astype(np.float64)
    score = float((squares - 2 * of_labels + 1).mean())
    return score / 2 if probabilities.shape[1] == 2 else score


def calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Return the expected calibration error, 0-1: how far the top probability is from the share of right predictions.

    It is the mean over 15 bins of equal width, each weighted by its number of images (Guo et al. 2017, equation 3).
    """
    return bin_predictions(labels, probabilities).error


def _of_labels(labels: Labels, probabilities: Probabilities) -> Probabilities:
    """Return each image's probability of its own class."""
    found: Probabilities = probabilities[np.arange(len(labels)), labels]
    return found


def _counts(labels: Labels, probabilities: Probabilities) -> tuple[Counts, Counts, Counts]:
    """Return for each class how many of its images were recognized, how many it has, and how often it is predicted."""
    predicted, count = probabilities.argmax(axis=1), probabilities.shape[1]
    right = np.bincount(labels[labels == predicted], minlength=count)
    return right, np.bincount(labels, minlength=count), np.bincount(predicted, minlength=count)


def _macro(parts: Counts, wholes: Counts, weights: Counts) -> float:
    """Return the mean share of the classes whose weight is not 0; a share of nothing is 0."""
    return float((parts / np.maximum(wholes, 1))[weights > 0].mean())


def _area(is_member: npt.NDArray[np.bool_], scores: Probabilities) -> float | None:
    """Return the area under the ROC curve of one class, None if all images are of it."""
    members, others = scores[is_member], np.sort(scores[~is_member])
    if not len(others):
        return None
    smaller, not_larger = np.searchsorted(others, members, "left"), np.searchsorted(others, members, "right")
    return float((smaller + not_larger).sum() / (2 * len(members) * len(others)))
