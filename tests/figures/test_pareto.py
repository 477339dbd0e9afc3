"""The trials of a sweep with several objectives and their front: what is drawn, where, and how it is labeled."""

import math

import pytest

from src.figures.pareto import (
    Panel,
    Pareto,
    apart,
    others_of,
    panels_of,
    pareto_data,
    places_of,
    plot_pareto,
    step_of,
)
from src.results import TrialRow
from src.schema import Objective
from tests.support.figures import overlapping_texts, visible
from tests.support.trials import ACCURACY, SIZE, row, two_objectives

LOSS = Objective("val_loss", "minimize")
ROWS = [
    row(0, 0.8, others=(1000.0,)),
    row(1, 0.9, others=(100_000.0,)),
    row(2, 0.7, others=(1000.0,)),
    row(3, 0.99, "PRUNED"),
    row(4, None, "FAIL"),
    row(5, math.inf, others=(5.0,)),
    row(6, 0.85, others=(2000.0,)),
]


def data_of(rows: list[TrialRow], *objectives: Objective) -> Pareto:
    found = pareto_data(rows, objectives)
    assert found is not None
    return found


def test_it_has_the_complete_trials_with_finite_values_and_the_front() -> None:
    data = data_of(ROWS, ACCURACY, SIZE)
    assert data.numbers == [0, 1, 2, 6]
    assert data.values[1] == (0.9, 100_000.0)
    assert (data.front, others_of(data), data.infeasible) == ([1, 6, 0], [2], [])


def test_without_a_complete_trial_there_is_nothing_to_draw() -> None:
    assert pareto_data([row(0, None, "FAIL")], [ACCURACY, SIZE]) is None


@pytest.mark.parametrize(("largest", "is_log"), [(10_000.0, False), (10_001.0, True)])
def test_a_cost_that_spans_more_than_a_decade_has_a_logarithmic_axis(largest: float, is_log: bool) -> None:
    data = data_of([row(0, 0.5, others=(1000.0,)), row(1, 0.6, others=(largest,))], ACCURACY, SIZE)
    positions = [math.log10(1000), math.log10(largest)] if is_log else [1000.0, largest]
    assert data.axes[1].positions == pytest.approx(positions)
    assert data.axes[0].positions == [0.5, 0.6]


def test_the_axes_say_which_way_is_better() -> None:
    names = [axis.name for axis in data_of(ROWS, ACCURACY, Objective("latency_ms", "minimize")).axes]
    assert names == ["val_accuracy, more is better", "latency (ms), less is better"]


@pytest.mark.parametrize(
    ("objectives", "panels"),
    [
        ([ACCURACY, SIZE], [Panel(1, 0)]),
        ([SIZE, ACCURACY], [Panel(0, 1)]),
        ([ACCURACY, LOSS], [Panel(1, 0)]),
        ([ACCURACY, LOSS, SIZE], [Panel(1, 0), Panel(2, 0), Panel(2, 1)]),
    ],
)
def test_each_pair_of_objectives_has_a_panel_with_the_cost_across(
    objectives: list[Objective], panels: list[Panel]
) -> None:
    assert panels_of(objectives) == panels


@pytest.mark.parametrize(("objectives", "step"), [((ACCURACY, SIZE), "post"), ((LOSS, ACCURACY), "pre")])
def test_the_front_is_joined_by_what_can_be_reached_between_two_trials(
    objectives: tuple[Objective, Objective], step: str
) -> None:
    rows = [row(0, 0.2, others=(0.8,)), row(1, 0.1, others=(0.7,))]
    assert step_of(data_of(rows, *objectives), Panel(1, 0)) == step


def test_the_front_is_drawn_from_left_to_right() -> None:
    data = data_of(ROWS, ACCURACY, SIZE)
    (axes,) = visible(plot_pareto(data))
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    places = sorted(places_of(data, Panel(1, 0), data.front))
    assert list(zip(*line.get_data(), strict=True)) == places


@pytest.mark.parametrize("count", [1, 3, 30, 200])
def test_every_label_of_two_objectives_can_be_read(count: int) -> None:
    figure = plot_pareto(data_of(two_objectives(count), ACCURACY, SIZE))
    assert overlapping_texts(figure) == []


def test_every_label_of_three_objectives_can_be_read() -> None:
    rows = [one._replace(others=(1 - (one.value or 0.0) ** 2, *one.others)) for one in two_objectives(40)]
    figure = plot_pareto(data_of(rows, ACCURACY, LOSS, SIZE))
    assert len(visible(figure)) == 3
    assert overlapping_texts(figure) == []


def test_a_trial_over_a_limit_is_drawn_as_such() -> None:
    data = data_of(ROWS, ACCURACY, SIZE)._replace(front=[1, 6], infeasible=[0])
    (axes,) = visible(plot_pareto(data))
    shown = {line.get_label(): line.get_marker() for line in axes.lines if line.get_marker() != "None"}
    assert shown == {"complete trial": "o", "over a limit": "x", "front, with the numbers of the trials": "D"}


def test_labels_stay_apart() -> None:
    assert apart([(0.0, 0.0), (0.1, 0.1), (0.1, 0.5), (2.0, 0.0)], 0.3, 0.2) == [0, 2, 3]
