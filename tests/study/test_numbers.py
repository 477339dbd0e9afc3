"""A study as rows of plain values, and their ranking."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from src.results import TrialRow
from src.schema import Objective
from src.study import Storage, front, is_worth_keeping, ranked, trial_rows
from src.study.attempts import KILLED
from tests.support.studies import claimed, claims_on

BEGIN = datetime(2026, 1, 1, 12)


def trial_of(number: int, state: TrialState, value: float | None = None, **attributes: Any) -> FrozenTrial:
    trial = create_trial(
        state=state,
        value=value,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0.0, 1.0)},
        user_attrs=attributes,
        intermediate_values={1: 0.25, 2: 0.5, 3: 0.375},
    )
    trial.number = number
    trial.datetime_start = BEGIN
    trial.datetime_complete = BEGIN + timedelta(seconds=90) if state.is_finished() else None
    return trial


def row(number: int, value: float | None, state: str = "COMPLETE") -> TrialRow:
    """A row of a trial of which nothing else is known."""
    return TrialRow(
        number=number,
        state=state,
        value=value,
        params={},
        seconds=None,
        best_epoch=None,
        epochs=0,
        reported={},
        run_id=None,
        interrupted=False,
        reason="",
    )


def test_a_completed_trials_row_has_all_its_attributes():
    trial = trial_of(4, TrialState.COMPLETE, 0.5, best_epoch=2, epochs=3, run_id="abc", owner="me")
    assert trial_rows([trial]) == [
        row(4, 0.5)._replace(
            params={"x": 0.5},
            seconds=90.0,
            best_epoch=2,
            epochs=3,
            reported={1: 0.25, 2: 0.5, 3: 0.375},
            run_id="abc",
            started=BEGIN,
        )
    ]


def test_a_trial_that_was_tried_again_is_not_called_given_up_when_the_limit_becomes_smaller():
    killed: dict[str, Any] = {"interrupted": True, "reason": KILLED}
    attempts = [
        trial_of(0, TrialState.FAIL, **killed),
        trial_of(1, TrialState.FAIL, **killed, retry_of=0, retries=1, chain=0),
    ]
    assert [row.attempts for row in trial_rows(attempts, max_retries=0)] == [0, 2]


def test_a_running_trial_has_as_many_epochs_as_it_reported_and_no_duration():
    (running,) = trial_rows([trial_of(0, TrialState.RUNNING)])
    assert (running.state, running.value, running.seconds, running.epochs) == ("RUNNING", None, None, 3)
    assert (running.best_epoch, running.run_id) == (None, None)


@pytest.mark.parametrize(
    ("attributes", "interrupted", "reason"),
    [
        ({"reason": "ValueError: no"}, False, "ValueError: no"),
        ({"reason": "its worker was killed", "interrupted": True}, True, "its worker was killed"),
    ],
)
def test_a_failed_trial_has_its_reason_and_the_mark_of_an_interruption(
    attributes: dict[str, Any], interrupted: bool, reason: str
):
    (failed,) = trial_rows([trial_of(0, TrialState.FAIL, **attributes)])
    assert (failed.interrupted, failed.reason) == (interrupted, reason)


def test_a_trial_that_waits_has_no_numbers_yet(memory: Storage):
    claims = claims_on(memory, n_trials=1)
    claims.study.enqueue_trial({"x": 0.5})
    assert trial_rows(claims.trials()) == [row(0, None, "WAITING")]


@pytest.mark.parametrize(("best_epoch", "value"), [({"best_epoch": 1}, 0.75), ({"best_epoch": 2}, 0.25), ({}, 0.25)])
def test_a_pruned_trial_has_the_value_of_its_best_epoch_or_the_last_one_if_unknown(
    memory: Storage, best_epoch: dict[str, int], value: float
):
    claims = claims_on(memory, n_trials=1)
    trial = claimed(claims)
    trial.report(0.75, 1)
    trial.report(0.25, 2)
    claims.prune(trial, "me", {"epochs": 2, **best_epoch})
    (pruned,) = trial_rows(claims.trials())
    assert (pruned.state, pruned.value, pruned.epochs) == ("PRUNED", value, 2)
    assert pruned.best_epoch == best_epoch.get("best_epoch")


STORED = {"best_val_accuracy": 0.5, "best_val_loss": 1.25}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"best_epoch": 2} | STORED, {"best_epoch": 2} | STORED),
        ({"best_epoch": 2}, {"best_epoch": 2}),  # a study of an earlier version
        ({}, {}),
    ],
)
def test_a_row_has_those_metrics_of_the_best_epoch_that_the_study_has(
    attributes: dict[str, float], expected: dict[str, float]
):
    (found,) = trial_rows([trial_of(0, TrialState.COMPLETE, 0.5, **attributes)])
    assert found.best_metrics == expected


def test_rows_are_in_the_order_of_the_numbers():
    trials = [trial_of(number, TrialState.COMPLETE, 0.5) for number in (2, 0, 1)]
    assert [row.number for row in trial_rows(trials)] == [0, 1, 2]


ROWS = [row(0, 0.5), row(1, 0.75), row(2, 0.25), row(3, 0.75), row(4, -1.0), row(5, 0.0)]


@pytest.mark.parametrize(("direction", "order"), [("maximize", [1, 3, 0, 2, 5, 4]), ("minimize", [4, 5, 2, 0, 1, 3])])
def test_the_best_come_first_and_of_equals_the_earlier_one(direction: str, order: list[int]):
    assert [row.number for row in ranked(ROWS[::-1], direction)] == order


def test_only_completed_trials_are_ranked():
    others = [row(1, 0.9, state) for state in ("PRUNED", "FAIL", "RUNNING", "WAITING")] + [row(2, None)]
    assert ranked([*others, row(3, 0.5)], "maximize") == [row(3, 0.5)]
    assert ranked(others, "maximize") == []


# --- several objectives --------------------------------------------------------------------------------------------

TWO = [Objective("val_accuracy", "maximize"), Objective("parameters", "minimize")]


def two(number: int, *values: float, state: str = "COMPLETE") -> TrialRow:
    """A row of a trial with two values."""
    return row(number, values[0], state)._replace(others=values[1:])


def test_a_row_has_the_value_of_each_objective_and_what_its_network_costs(memory: Storage):
    claims = claims_on(memory, n_trials=2, others=TWO[1:])
    trial = claimed(claims)
    trial.set_user_attr("costs", {"parameters": 61706.0})
    claims.complete(trial, "me", [0.5, 61706.0], {})
    claims.fail(claimed(claims), "me", "it cannot be built", {})
    complete, failed = trial_rows(claims.trials())
    assert (complete.value, complete.values, complete.costs) == (0.5, (0.5, 61706.0), {"parameters": 61706.0})
    assert (failed.value, failed.values) == (None, ())


def test_the_front_has_the_complete_trials_that_no_other_dominates():
    rows = [two(4, 0.9, 10), two(0, 0.9, 10), two(1, 0.95, 50), two(2, 0.95, 60), two(3, 0.99, 1, state="PRUNED")]
    assert [trial.number for trial in front(rows, TWO)] == [1, 0]


@pytest.mark.parametrize(("objective", "best"), [(TWO[0], 1), (TWO[1], 0)])
def test_with_one_objective_the_front_is_the_first_of_the_ranked_trials(objective: Objective, best: int):
    rows = [row(0, 0.5), row(2, 0.75), row(1, 0.75), row(3, None, "FAIL"), row(4, 0.9, "PRUNED")]
    assert [trial.number for trial in front(rows, [objective])] == [best]
    assert front(rows, [objective]) == ranked(rows, objective.direction)[:1]


@pytest.mark.parametrize(
    ("values", "objectives", "expected"),
    [
        ((0.8,), TWO[:1], True),
        ((0.75,), TWO[:1], False),
        ((0.2,), TWO[1:], True),
        ((0.8, 99.0), TWO, True),
        ((0.5, 10.0), TWO, False),
    ],
)
def test_a_model_is_worth_keeping_if_its_trial_is_better_than_all_before_or_on_the_front(
    values: tuple[float, ...], objectives: list[Objective], expected: bool
):
    others = (10.0,) * (len(objectives) - 1)
    rows = [row(0, 0.75)._replace(others=others), row(1, 0.99, "PRUNED"), row(2, None, "RUNNING")]
    assert is_worth_keeping(values, rows, objectives) is expected
    assert is_worth_keeping(values, [], objectives)
