"""ROC and precision-recall curves: their areas, which classes are drawn, and names that are shown as they are."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from src import figures
from src.figures.class_curves import MAX_CLASSES
from tests.support.figures import png
from tests.support.probabilities import random_model

NAMES = ["$\\b$", "a_class_with_a_name_that_is_longer_than_fits", "c"]


@pytest.mark.parametrize("digits", [8, 1])
def test_curves_and_areas_are_those_of_scikit_learn_also_for_equal_scores(digits: int) -> None:
    labels, probabilities = random_model(1, 200)
    probabilities = probabilities.round(digits)
    data = figures.class_curves_data(labels, probabilities, NAMES)
    assert len(data.curves) == data.classes == 3
    for curve in data.curves:
        is_member, scores = labels == NAMES.index(curve.name), probabilities[:, NAMES.index(curve.name)]
        false_positives, true_positives, _ = roc_curve(is_member, scores, drop_intermediate=False)
        precision, recall, _ = precision_recall_curve(is_member, scores)
        assert np.allclose((curve.false_positives, curve.true_positives), (false_positives, true_positives))
        assert np.allclose((curve.recall, curve.precision), (recall[::-1], precision[::-1]))
        assert curve.auc == pytest.approx(roc_auc_score(is_member, scores))
        assert curve.average_precision == pytest.approx(average_precision_score(is_member, scores))


def test_the_worst_class_comes_first_and_of_many_only_the_worst_are_drawn() -> None:
    names = [f"c{index}" for index in range(40)]
    data = figures.class_curves_data(*random_model(1, 400, classes=40), names)
    areas = [curve.auc for curve in data.curves]
    assert (len(areas), data.classes) == (MAX_CLASSES, 40)
    assert areas == sorted(areas)
    (legend,) = figures.plot_class_curves(data).legends
    assert legend.get_title().get_text().startswith("the worst 10 of 40 classes")


def test_a_class_without_images_has_no_curve() -> None:
    labels, probabilities = random_model(1, 60)
    labels = np.where(labels == 2, 0, labels)
    assert {curve.name for curve in figures.class_curves_data(labels, probabilities, NAMES).curves} == set(NAMES[:2])


def test_the_only_class_with_images_has_no_curve_either() -> None:
    _, probabilities = random_model(1, 10)
    assert figures.class_curves_data(np.zeros(10, int), probabilities, NAMES).curves == []


def test_names_are_shown_as_they_are_and_shortened() -> None:
    figure = figures.plot_class_curves(figures.class_curves_data(*random_model(1, 200), NAMES))
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any(text.startswith("$\\b$: 0.") for text in shown)
    assert all(len(text) < 50 for text in shown)
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("skill", [-5.0, 0.0, 1.0, 100.0])
def test_poor_and_perfect_models_are_drawn_within_the_axes(skill: float) -> None:
    figure = figures.plot_class_curves(figures.class_curves_data(*random_model(1, 50, skill=skill), NAMES))
    for axes in figure.axes:
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert 0 <= left < 1 <= right
        assert 0 <= bottom < 1 < top
    assert png(figure).startswith(b"\x89PNG")
