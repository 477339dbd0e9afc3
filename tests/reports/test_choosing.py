"""The choice of one trial from a front."""

from dataclasses import replace

import pytest

from src.reports.choosing import choose_point, with_chosen_trial
from src.results import Counts, FrontPoint, SweepResult
from src.schema import ChooseConfig, objective_of
from tests.support.sweeps import plan

OBJECTIVES = [objective_of("val_accuracy"), objective_of("parameters")]


def point(trial: int, accuracy: float, parameters: float) -> FrontPoint:
    return FrontPoint(
        trial,
        {"val_accuracy": accuracy, "parameters": parameters},
        {"seed": trial},
        f"run{trial}",
        3,
        {"best_val_accuracy": accuracy},
        {},
    )


FRONT = [point(8, 0.983, 64_971), point(19, 0.981, 12_725), point(14, 0.98, 4297), point(12, 0.7, 2042)]


@pytest.mark.parametrize(
    ("within", "trial"),
    [(None, 8), (0.0, 8), (0.001, 8), (0.002, 19), (0.003, 14), (1.0, 12)],
)
def test_of_the_trials_near_the_best_value_the_cheapest_is_chosen(within: float | None, trial: int) -> None:
    cheapest = None if within is None else "parameters"
    chosen, _ = choose_point(FRONT, OBJECTIVES, ChooseConfig(metric="val_accuracy", within=within, cheapest=cheapest))
    assert chosen.trial == trial


def test_of_a_metric_that_is_minimized_the_least_value_is_the_best() -> None:
    values = [{"val_loss": 0.2, "parameters": 9.0}, {"val_loss": 0.3, "parameters": 1.0}]
    front = [FrontPoint(trial, of_trial, {}) for trial, of_trial in enumerate(values)]
    objectives = [objective_of("val_loss"), OBJECTIVES[1]]
    assert choose_point(front, objectives, ChooseConfig(metric="val_loss"))[0].trial == 0
    near = ChooseConfig(metric="val_loss", within=0.1, cheapest="parameters")
    assert choose_point(front, objectives, near)[0].trial == 1


def test_of_equal_trials_the_more_accurate_and_then_the_earlier_is_chosen() -> None:
    near = ChooseConfig(metric="val_accuracy", within=1, cheapest="parameters")
    front = [point(3, 0.9, 10), point(2, 0.8, 10), point(1, 0.9, 10)]
    assert choose_point(front, OBJECTIVES, near)[0].trial == 1
    assert choose_point(front, OBJECTIVES, ChooseConfig(metric="val_accuracy"))[0].trial == 1


@pytest.mark.parametrize(
    ("choose", "reason"),
    [
        (ChooseConfig(metric="val_accuracy"), "it has the best value on the front, val_accuracy 0.9830"),
        (
            ChooseConfig(metric="val_accuracy", within=0.002, cheapest="parameters"),
            "2 of 4 trials on the front are within 0.002 of the best value, val_accuracy 0.9830, and of these it has "
            "the lowest parameters: 12,725",
        ),
    ],
)
def test_the_reason_has_the_numbers(choose: ChooseConfig, reason: str) -> None:
    assert choose_point(FRONT, OBJECTIVES, choose)[1] == reason


def test_the_chosen_trial_takes_the_place_of_the_best_one() -> None:
    counts = Counts(complete=9, pruned=0, failed=0, running=0, retried=0)
    swept = SweepResult(study_name="study", run_id="5eeb", counts=counts, front=FRONT)
    planned = plan("model.dropout=0.1,0.2", "hydra.sweeper.objectives=[val_accuracy,parameters]")
    found = with_chosen_trial(swept, planned, ChooseConfig(metric="val_accuracy"))
    assert (found.best_trial, found.best_value, found.best_run_id, found.best_epoch) == (8, 0.983, "run8", 3)
    assert (found.best_params, found.best_metrics, found.best_config) == ({"seed": 8}, {"best_val_accuracy": 0.983}, {})
    assert found.chosen.startswith("it has the best value")


def test_without_a_front_a_sweep_stays_as_it_is() -> None:
    counts = Counts(complete=0, pruned=0, failed=1, running=0, retried=0)
    swept = SweepResult(study_name="study", run_id="5eeb", counts=counts)
    assert with_chosen_trial(swept, plan("model.dropout=0.1,0.2"), ChooseConfig()) == replace(swept)
