"""The confusion matrix: counts, shares, names."""

import numpy as np

from src import figures
from src.figures import Confusion
from tests.figures.conftest import texts, visible


def test_confusion_counts_true_classes_in_rows_and_one_that_is_absent_too() -> None:
    confusion = figures.confusion_data(np.array([0, 0, 0, 2]), np.array([0, 2, 2, 0]), ["ant", "bee", "cow"])
    assert confusion.counts.tolist() == [[1, 0, 2], [0, 0, 0], [1, 0, 0]]
    assert confusion.class_names == ["ant", "bee", "cow"]


def test_the_confusion_matrix_shows_counts_that_are_not_zero_and_shares_of_each_row() -> None:
    figure = figures.plot_confusion(Confusion(np.array([[3, 1], [0, 0]]), ["ant", "bee"]))
    axes = visible(figure)[0]
    assert texts(axes) == ["3", "1"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee"]
