"""Labels that a model contradicts with confidence."""

import math

import numpy as np
import pytest

from src.inspection import LabelIssue, find_label_issues
from src.inspection.labels import class_thresholds, confident_joint
from tests.support.probabilities import random_model

LABELS = np.array([0, 0, 0, 1, 1, 1])
PROBABILITIES = np.array(
    [
        [0.9, 0.1],
        [0.8, 0.2],
        [0.1, 0.9],
        [0.2, 0.8],
        [0.1, 0.9],
        [0.65, 0.35],
    ]
)


def test_the_threshold_of_a_class_is_its_mean_probability_over_the_images_with_its_label() -> None:
    assert class_thresholds(LABELS, PROBABILITIES).tolist() == pytest.approx([0.6, 2.05 / 3])


def test_a_class_without_images_has_an_infinite_threshold_and_contradicts_nothing() -> None:
    probabilities = np.array([[0.5, 0.1, 0.4], [0.1, 0.6, 0.3], [0.0, 0.1, 0.9]])
    labels = np.array([0, 1, 1])
    assert class_thresholds(labels, probabilities).tolist() == [0.5, pytest.approx(0.35), math.inf]
    assert find_label_issues(labels, probabilities) == []


def test_the_joint_counts_images_by_label_and_by_the_class_whose_threshold_they_reach() -> None:
    assert confident_joint(LABELS, PROBABILITIES).tolist() == [[2, 1], [1, 2]]
    unsure = PROBABILITIES.copy()
    unsure[5] = [0.55, 0.45]  # reaches neither threshold, and is not counted
    assert confident_joint(LABELS, unsure).tolist() == [[2, 1], [0, 2]]


def test_as_many_images_of_a_class_are_listed_as_the_joint_estimates_to_be_wrong() -> None:
    assert find_label_issues(LABELS, PROBABILITIES) == [
        LabelIssue(image=2, label=0, predicted=1, probability=0.9, label_probability=0.1),
        LabelIssue(image=5, label=1, predicted=0, probability=0.65, label_probability=0.35),
    ]


def test_of_a_class_those_images_are_listed_whose_label_is_least_probable() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2, 1, 2])
    probabilities = np.array(
        [
            [0.9, 0.1, 0.0],
            [0.9, 0.1, 0.0],
            [0.3, 0.7, 0.0],  # confidently of class 1
            [0.0, 0.5, 0.5],  # of no class, but certainly not of its label
            [0.1, 0.6, 0.3],
            [0.0, 0.1, 0.9],
            [0.1, 0.6, 0.3],
            [0.0, 0.1, 0.9],
        ]
    )
    (issue,) = find_label_issues(labels, probabilities)
    assert (issue.image, issue.label_probability) == (3, 0.0)


def test_an_image_that_is_predicted_as_labeled_is_not_listed() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    # The model is seldom sure of class 1, so 0.4 is confidently of class 1, although class 0 is more probable.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.7, 0.3], [0.7, 0.3]])
    assert confident_joint(labels, probabilities).tolist() == [[2, 1], [0, 3]]
    assert find_label_issues(labels, probabilities) == []


def test_the_least_probable_labels_come_first() -> None:
    labels = np.array([0] * 4 + [1] * 4)
    probabilities = np.array(
        [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.2, 0.8], [0.2, 0.8], [0.1, 0.9], [0.95, 0.05]]
    )
    assert [issue.image for issue in find_label_issues(labels, probabilities)] == [7, 3, 2]


def test_a_model_that_agrees_with_every_label_contradicts_none() -> None:
    assert find_label_issues(np.arange(4), np.eye(4)) == []


def test_most_of_the_planted_wrong_labels_are_listed_and_nothing_else() -> None:
    labels, probabilities = random_model(seed=1, images=2000, classes=5, skill=8.0)
    wrong = np.arange(0, 2000, 100)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % 5
    found = [issue.image for issue in find_label_issues(given, probabilities)]
    assert len(found) >= 16
    assert set(found) <= set(wrong.tolist())
