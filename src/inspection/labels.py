"""Labels that a model contradicts with confidence."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.floating]


class LabelIssue(NamedTuple):
    """An image whose label is contradicted.

    Attributes:
        image: its index.
        label, predicted: the given class and the most probable one.
        probability, label_probability: of the predicted and of the given class, 0-1.
    """

    image: int
    label: int
    predicted: int
    probability: float
    label_probability: float


def class_thresholds(labels: Labels, probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Return, for each class, the mean probability of the class over the images with its label, (classes,).

    A model that is less sure of a class has a lower threshold for it. A class without images has an infinite one.

    Args:
        labels: (n,).
        probabilities: (n, classes), of a model that was not trained on these images.
    """
    count = probabilities.shape[1]
    images = np.bincount(labels, minlength=count)
    sums = np.bincount(labels, probabilities[np.arange(len(labels)), labels], count)
    return np.where(images, sums / np.maximum(images, 1), np.inf)


def confident_joint(labels: Labels, probabilities: Probabilities) -> npt.NDArray[np.int64]:
    """Return how many images with the label of the row are confidently of the class of the column, (classes, classes).

    An image counts for the most probable of the classes whose threshold its probability reaches, if there is one.

    Args:
        labels: (n,).
        probabilities: (n, classes), of a model that was not trained on these images.
    """
    is_sure = probabilities >= class_thresholds(labels, probabilities)
    counted = is_sure.any(axis=1)
    classes = np.where(is_sure, probabilities, -1).argmax(axis=1)
    joint = np.zeros((probabilities.shape[1],) * 2, np.int64)
    np.add.at(joint, (labels[counted], classes[counted]), 1)
    return joint


def find_label_issues(labels: Labels, probabilities: Probabilities) -> list[LabelIssue]:
    """Return the images whose labels are probably wrong, those with the least probable labels first.

    The confident joint estimates the share of wrong labels in each class. As many images of the class are returned:
    those whose label has the lowest probability, without those that the model predicts as labeled.

    Args:
        labels: (n,).
        probabilities: (n, classes), of a model that was not trained on these images.

    References:
        Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels, Journal of
        Artificial Intelligence Research 70: equations 1 to 3, and "prune by class" in section 3.2.
    """
    joint = confident_joint(labels, probabilities)
    given, predicted = probabilities[np.arange(len(labels)), labels], probabilities.argmax(axis=1)
    issues = []
    for label, row in enumerate(joint):
        images = np.flatnonzero(labels == label)
        share = 1 - row[label] / max(row.sum(), 1) if row.any() else 0.0
        least = images[np.argsort(given[images], kind="stable")][: round(share * len(images))]
        issues += [
            LabelIssue(
                int(image),
                label,
                int(predicted[image]),
                float(probabilities[image, predicted[image]]),
                float(given[image]),
            )
            for image in least
            if predicted[image] != label
        ]
    return sorted(issues, key=lambda issue: (issue.label_probability, issue.image))
