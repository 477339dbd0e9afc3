"""The hypervolume: the same as Optuna's, and its history."""

import random

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from src.figures.hypervolume import hypervolume, hypervolume_data, plot_hypervolume
from src.schema import Objective
from tests.support.figures import overlapping_texts, texts, visible
from tests.support.trials import ACCURACY, SIZE, row, two_objectives

LOSS = Objective("val_loss", "minimize")


def test_one_point_covers_the_box_to_the_reference_point() -> None:
    assert hypervolume([(1.0, 2.0)], (4.0, 4.0)) == 6.0
    assert hypervolume([(1.0, 2.0, 3.0)], (4.0, 4.0, 4.0)) == 6.0


def test_what_two_points_cover_counts_once() -> None:
    assert hypervolume([(1.0, 2.0), (2.0, 1.0)], (3.0, 3.0)) == 3.0


@pytest.mark.parametrize("losses", [[], [(3.0, 3.0)], [(4.0, 0.0)]])
def test_a_point_that_does_not_dominate_the_reference_point_covers_nothing(losses: list[tuple[float, float]]) -> None:
    assert hypervolume(losses, (3.0, 3.0)) == 0.0


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_it_is_the_one_that_optuna_computes(objectives: int, count: int) -> None:
    numbers = random.Random(count)
    for levels in (4, 10**6):  # with equal values, and without
        losses = [tuple(numbers.randrange(levels) / levels for _ in range(objectives)) for _ in range(count)]
        reference = tuple(max(point[axis] for point in losses) for axis in range(objectives))
        expected = compute_hypervolume(np.array(losses), np.array(reference))
        assert hypervolume(losses, reference) == pytest.approx(expected, abs=1e-12)


def test_the_history_has_the_volume_after_each_complete_trial() -> None:
    rows = [
        row(0, 0.5, others=(100.0,)),
        row(1, 0.9, "PRUNED"),
        row(2, 0.75, others=(60.0,)),
        row(3, 0.6, others=(90.0,)),
        row(5, 1.0, others=(80.0,)),
    ]
    data = hypervolume_data(rows, [ACCURACY, SIZE])
    assert data is not None
    assert data.numbers == [0, 2, 3, 5]
    assert data.volumes == pytest.approx([0, 0.25 * 40, 0.25 * 40, 0.25 * 40 + 0.25 * 20])
    assert data.reference == ["val_accuracy 0.5000", "parameters 100"]
    assert data.on_front == 2


@pytest.mark.parametrize("objectives", [[ACCURACY, SIZE], [ACCURACY, LOSS, SIZE]])
def test_the_history_ends_with_the_volume_of_all_trials(objectives: list[Objective]) -> None:
    more = len(objectives) - 2
    rows = [one._replace(others=(*(one.others[0] % 7,) * more, *one.others)) for one in two_objectives(60)]
    data = hypervolume_data(rows, objectives)
    assert data is not None
    losses = np.array([(-row.values[0], *row.values[1:]) for row in rows])
    assert data.volumes[-1] == pytest.approx(compute_hypervolume(losses, losses.max(axis=0)))
    assert sorted(data.volumes) == pytest.approx(data.volumes)


def test_without_a_complete_trial_there_is_no_history() -> None:
    assert hypervolume_data([row(0, None, "FAIL")], [ACCURACY, SIZE]) is None


@pytest.mark.parametrize("count", [1, 3, 200])
def test_the_figure_can_be_read_and_says_the_reference_point(count: int) -> None:
    data = hypervolume_data(two_objectives(count), [ACCURACY, SIZE])
    assert data is not None
    figure = plot_hypervolume(data)
    assert overlapping_texts(figure) == []
    (axes,) = visible(figure)
    assert f"worst value of each objective: {', '.join(data.reference)}" in axes.get_xlabel()
    assert texts(axes) == []
