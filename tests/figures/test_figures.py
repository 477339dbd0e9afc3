"""Pictures of a run: their numbers by equality, and that each can be drawn and saved."""

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from src import figures
from src.compose import CONF
from src.figures import Confusion, LearningCurves, Prediction, TrialCurve
from src.results import TrialRow

HISTORY = {"loss": [2.0, 1.0], "accuracy": [0.3, 0.6], "learning_rate": [1e-3, 1e-3]}
VALIDATION = {"val_loss": [2.5, 1.5], "val_accuracy": [0.2, 0.5]}
GRAY = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)


def visible(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_visible()]


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


# --- numbers -------------------------------------------------------------------------------------------------------


def test_learning_curves_stand_in_two_panels_training_beside_validation() -> None:
    assert figures.learning_curves_data(HISTORY | VALIDATION, best_epoch=2) == LearningCurves(
        epochs=[1, 2],
        loss={"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]},
        accuracy={"accuracy": [0.3, 0.6], "val_accuracy": [0.2, 0.5]},
        best_epoch=2,
    )


def test_learning_curves_without_validation_have_training_alone() -> None:
    assert figures.learning_curves_data(HISTORY, best_epoch=None) == LearningCurves(
        epochs=[1, 2], loss={"loss": [2.0, 1.0]}, accuracy={"accuracy": [0.3, 0.6]}, best_epoch=None
    )


def test_confusion_counts_true_classes_in_rows_and_one_that_is_absent_too() -> None:
    confusion = figures.confusion_data(np.array([0, 0, 0, 2]), np.array([0, 2, 2, 0]), ["ant", "bee", "cow"])
    assert confusion.counts.tolist() == [[1, 0, 2], [0, 0, 0], [1, 0, 0]]
    assert confusion.class_names == ["ant", "bee", "cow"]


LABELS = np.array([0, 1, 0, 2, 1])
PROBABILITIES = np.array(
    [
        [0.25, 0.5, 0.25],  # wrong
        [0.0, 1.0, 0.0],
        [0.125, 0.0, 0.875],  # wrong, the surest
        [0.5, 0.25, 0.25],  # wrong, as sure as the first
        [0.25, 0.75, 0.0],
    ]
)
WORST = [
    Prediction(image=2, true="ant", predicted="cow", score=0.875, true_score=0.125),
    Prediction(image=0, true="ant", predicted="bee", score=0.5, true_score=0.25),
    Prediction(image=3, true="cow", predicted="ant", score=0.5, true_score=0.25),
]


@pytest.mark.parametrize(("most", "expected"), [(25, WORST), (2, WORST[:2])])
def test_the_worst_mistakes_are_the_surest_first_and_in_the_split_s_order_where_equal(
    most: int, expected: list[Prediction]
) -> None:
    assert figures.worst_mistakes_data(LABELS, PROBABILITIES, ["ant", "bee", "cow"], most) == expected


def test_a_model_without_mistakes_has_no_worst_ones() -> None:
    assert figures.worst_mistakes_data(np.array([0, 1]), np.eye(2), ["ant", "bee"]) == []


# --- pictures ------------------------------------------------------------------------------------------------------


def curves(history: dict[str, list[float]], best_epoch: int | None) -> Figure:
    return figures.plot_learning_curves(figures.learning_curves_data(history, best_epoch))


def confusion(names: Sequence[str]) -> Figure:
    return figures.plot_confusion(Confusion(np.eye(len(names), dtype=np.int64), list(names)))


PICTURES: dict[str, tuple[Callable[[], Figure], int]] = {  # with how many axes each shows
    "curves": (lambda: curves(HISTORY | VALIDATION, 2), 2),
    "curves without validation": (lambda: curves(HISTORY, None), 2),
    "curves of one epoch": (lambda: curves({name: values[:1] for name, values in HISTORY.items()}, 1), 2),
    "confusion with its scale": (lambda: confusion("ab"), 2),
    "confusion of many": (lambda: confusion([f"class {index}" for index in range(40)]), 2),
    "mistakes": (lambda: figures.plot_mistakes(WORST, np.zeros((4, 5, 5, 1), np.uint8)), 3),
    "one mistake in colour": (lambda: figures.plot_mistakes(WORST[:1], np.zeros((4, 5, 5, 3), np.uint8)), 1),
    "no mistake": (lambda: figures.plot_mistakes([], np.zeros((4, 5, 5, 1), np.uint8)), 0),
    "filters": (lambda: figures.plot_filters(np.ones((6, 3, 3, 1)), "conv"), 6),
    "one filter of zeros": (lambda: figures.plot_filters(np.zeros((1, 5, 5, 3)), "conv"), 1),
    "more filters than are shown": (lambda: figures.plot_filters(np.ones((70, 3, 3, 1)), "conv"), 64),
}


@pytest.mark.parametrize(("draw", "axes"), PICTURES.values(), ids=PICTURES)
def test_a_picture_shows_as_many_axes_as_it_has_things_and_saves_as_png(draw: Callable[[], Figure], axes: int) -> None:
    figure = draw()
    assert len(visible(figure)) == axes
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(("best_epoch", "marks"), [(2, ["best epoch (2)"]), (None, [])])
def test_the_curves_are_named_and_the_best_epoch_is_marked_where_there_is_one(
    best_epoch: int | None, marks: list[str]
) -> None:
    legends = [[text.get_text() for text in axes.get_legend().texts] for axes in visible(curves(HISTORY, best_epoch))]
    assert legends == [["loss", *marks], ["accuracy", *marks]]


def test_the_confusion_matrix_shows_counts_that_are_not_zero_and_shares_of_each_row() -> None:
    figure = figures.plot_confusion(Confusion(np.array([[3, 1], [0, 0]]), ["ant", "bee"]))
    axes = visible(figure)[0]
    assert texts(axes) == ["3", "1"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee"]


def test_a_mistake_shows_its_image_and_both_classes_with_their_scores() -> None:
    axes = visible(figures.plot_mistakes(WORST, np.concatenate([GRAY, GRAY])))[0]
    assert axes.images[0].get_array().tolist() == GRAY[2, ..., 0].tolist()
    assert axes.get_title() == "cow (0.88)"
    assert texts(axes) == ["is ant (0.12), #2"]


def test_filters_share_one_scale_with_zero_in_its_middle() -> None:
    filters = np.array([[[[1.0, 2.0]]], [[[-3.0, -3.0]]]])
    images = [axes.images[0] for axes in visible(figures.plot_filters(filters, "conv"))]
    assert [image.get_array().tolist() for image in images] == [[[1.5]], [[-3.0]]]
    assert [image.get_clim() for image in images] == [(-3, 3), (-3, 3)]


def test_drawing_needs_no_pyplot_and_so_no_window_system() -> None:
    program = "import sys, src.figures; print('matplotlib.pyplot' in sys.modules, 'matplotlib.figure' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=CONF.parent, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("shape", [(1, 28, 1), (28, 1, 1), (1, 1, 3)])
def test_a_mistake_one_pixel_high_or_wide_is_drawn(shape: tuple[int, ...]) -> None:
    figure = figures.plot_mistakes([Prediction(0, "a", "b", 0.5, 0.25)], np.zeros((1, *shape), np.uint8))
    assert visible(figure)[0].images[0].get_array().shape[:2] == shape[:2]


def test_a_class_name_is_no_formula() -> None:
    mistakes = [Prediction(0, "$\\b$", "b", 0.5, 0.25)]
    for figure in (confusion(["$\\b$", "b"]), figures.plot_mistakes(mistakes, np.zeros((1, 9, 9, 1), np.uint8))):
        assert png(figure)


def trial_row(number: int, state: str, reported: dict[int, float]) -> TrialRow:
    return TrialRow(number, state, None, {}, 1.0, 1, len(reported), reported, None, False, "")


def test_the_curves_of_trials_are_in_the_order_of_their_epochs_and_silent_trials_are_left_out() -> None:
    rows = [trial_row(0, "COMPLETE", {2: 0.8, 1: 0.5}), trial_row(1, "FAIL", {}), trial_row(2, "PRUNED", {1: 0.1})]
    assert figures.trial_curves_data(rows) == [
        TrialCurve(0, "COMPLETE", [1, 2], [0.5, 0.8]),
        TrialCurve(2, "PRUNED", [1], [0.1]),
    ]


def test_a_pruned_trials_curve_ends_with_a_cross_and_a_complete_ones_does_not() -> None:
    curves = [TrialCurve(0, "COMPLETE", [1, 2], [0.5, 0.8]), TrialCurve(2, "PRUNED", [1], [0.1])]
    figure = figures.plot_trial_curves(curves, "val_accuracy")
    (axes,) = figure.axes
    crosses = [np.asarray(line.get_xydata()).tolist() for line in axes.lines if line.get_marker() == "x"]
    assert [points for points in crosses if points] == [[[1.0, 0.1]]]  # without those of the legend
    assert axes.get_ylabel() == "val_accuracy"
    assert png(figure)
