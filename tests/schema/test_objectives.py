"""Several objectives: their directions, which trials are on the front, and which names can be objectives together."""

import math
import random

import pytest

from src.errors import ConfigError
from src.schema import COSTS, METRICS, Objective, front_of, improves, losses_of, objective_of
from src.schema.objectives import check_objectives

ACCURACY, LOSS, SIZE = (objective_of(name) for name in ("val_accuracy", "val_loss", "parameters"))
TWO, THREE = [ACCURACY, SIZE], [ACCURACY, LOSS, SIZE]


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_has_the_direction_of_its_table(metric: str) -> None:
    assert objective_of(f"val_{metric}") == Objective(f"val_{metric}", METRICS[metric].direction)


@pytest.mark.parametrize("cost", COSTS)
def test_less_of_a_cost_is_better(cost: str) -> None:
    assert objective_of(cost) == Objective(cost, "minimize")


def test_losses_are_less_the_better_the_trial() -> None:
    assert losses_of((0.9, 0.3, 100), THREE) == (-0.9, 0.3, 100)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.9, 90), True),  # cheaper
        ((0.91, 500), True),  # more accurate
        ((0.9, 100), False),  # equal
        ((0.9, 101), False),
        ((0.8, 100), False),
        ((0.8, 200), False),
        ((0.5, 20), True),
    ],
)
def test_a_trial_improves_if_no_other_is_as_good_in_every_objective(
    values: tuple[float, float], expected: bool
) -> None:
    assert improves(values, [(0.9, 100), (0.6, 50)], TWO) is expected


@pytest.mark.parametrize(
    ("objective", "values", "expected"),
    [(ACCURACY, (0.5, 0.5, 0.4, 0.6), [True, False, False, True]), (LOSS, (0.5, 0.5, 0.4), [True, False, True])],
)
def test_with_one_objective_only_a_better_value_improves(
    objective: Objective, values: tuple[float, ...], expected: list[bool]
) -> None:
    points = [(value,) for value in values]
    assert [improves(point, points[:index], [objective]) for index, point in enumerate(points)] == expected


def test_the_front_has_the_trials_that_no_other_dominates_the_best_in_the_first_objective_first() -> None:
    points = [(0.9, 100), (0.8, 100), (0.95, 300), (0.7, 20), (0.7, 30), (0.94, 400)]
    assert front_of(points, TWO) == [2, 0, 3]


def test_of_equal_trials_the_earlier_one_is_on_the_front() -> None:
    assert front_of([(0.8, 10), (0.9, 50), (0.9, 50), (0.8, 10)], TWO) == [1, 0]


@pytest.mark.parametrize(("objective", "best"), [(ACCURACY, [1]), (LOSS, [2])])
def test_with_one_objective_the_front_is_the_best_trial(objective: Objective, best: list[int]) -> None:
    assert front_of([(0.5,), (0.75,), (0.25,), (0.75,), (0.25,)], [objective]) == best


def test_without_trials_there_is_no_front() -> None:
    assert front_of([], TWO) == []


@pytest.mark.parametrize("objectives", [TWO, THREE])
def test_the_front_is_that_of_the_definition(objectives: list[Objective]) -> None:
    numbers = random.Random(3)
    points = [tuple(float(numbers.randrange(8)) for _ in objectives) for _ in range(150)]

    def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        better = losses_of(one, objectives), losses_of(other, objectives)
        return better[0] != better[1] and all(left <= right for left, right in zip(*better, strict=True))

    expected = {point for point in points if not any(dominates(other, point) for other in points)}
    found = front_of(points, objectives)
    assert {points[index] for index in found} == expected
    assert all(points.index(points[index]) == index for index in found)


def test_a_trial_with_an_infinite_value_is_dominated() -> None:
    assert front_of([(-math.inf, 100), (0.5, 50)], TWO) == [1]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["val_acuracy", "parameters"], r"no metric or cost 'val_acuracy'.*; did you mean 'val_accuracy'\?$"),
        (["val_accuracy", "parameter"], r"no metric or cost 'parameter'; the costs are .*did you mean 'parameters'\?$"),
        (["val_accuracy", "price"], r"no metric or cost 'price'; the costs are parameters, .*; the metrics are loss, "),
        (["test_accuracy", "parameters"], r"test_accuracy would choose by the test split"),
        (["val_accuracy", "parameters", "val_accuracy"], r"val_accuracy is listed 2 times; list each name once$"),
        (["val_accuracy"], r"remove `hydra\.sweeper\.objectives` and set training\.monitor=val_accuracy$"),
        (["parameters"], r"name a metric too: 'hydra\.sweeper\.objectives=\[val_accuracy,parameters\]'$"),
        (["parameters", "latency_ms"], r"name a metric too: '.*=\[val_accuracy,parameters,latency_ms\]'$"),
        (["val_accuracy", "val_loss", "parameters", "model_mb"], r"got 4 objectives, expected two or three"),
    ],
)
def test_objectives_that_do_not_exist_or_do_not_go_together_are_refused(names: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=rf"^hydra\.sweeper\.objectives=\[{','.join(names)}\]: .*{sentence}"):
        check_objectives(names)


@pytest.mark.parametrize(
    "names", [["val_accuracy", "parameters"], ["model_mb", "val_loss"], ["val_accuracy", "val_loss", "latency_ms"]]
)
def test_two_or_three_metrics_or_costs_are_taken(names: list[str]) -> None:
    check_objectives(names)
