"""The confusion matrix: counts, shares, names."""

import numpy as np
from matplotlib.figure import Figure

from src import figures
from src.figures import Confusion
from tests.support.figures import texts, visible


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


def test_the_picture_of_many_classes_is_no_larger_than_that_of_thirty_and_names_some_of_them() -> None:
    def drawn(count: int) -> Figure:
        return figures.plot_confusion(Confusion(np.eye(count, dtype=np.int64), [str(label) for label in range(count)]))

    many = drawn(1000)
    assert many.get_size_inches().tolist() == drawn(30).get_size_inches().tolist()
    assert [tick.get_text() for tick in many.axes[0].get_yticklabels()[:3]] == ["0", "17", "34"]
    assert len(drawn(30).axes[0].texts) == len(drawn(30).axes[0].get_yticklabels()) == 30
