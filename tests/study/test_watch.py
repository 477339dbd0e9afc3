"""The observer that reports epochs to a trial: no outage ends a training or loses a report."""

import threading
from typing import Any

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from src.schema import Objective
from src.study import STOPPED, Stopped, Storage, TrialLost, TrialWatch, trial_rows
from tests.support.studies import claimed, claims_on

OUTAGE = OperationalError("insert", {}, Exception("connection refused"))


def watching(trial: optuna.Trial, epochs: int = 5) -> TrialWatch:
    has_front = len(trial.study.directions) > 1
    return TrialWatch(trial, "val_accuracy", epochs, threading.Event(), has_front)


def failing(*arguments: object, **named: object) -> Any:
    raise OUTAGE


def test_epochs_of_an_outage_are_reported_in_order_with_the_next_one(memory: Storage, monkeypatch: pytest.MonkeyPatch):
    claims = claims_on(memory, n_trials=1)
    watch = watching(claimed(claims))
    with monkeypatch.context() as patch:
        patch.setattr(memory.optuna, "set_trial_intermediate_value", failing)
        for epoch in (1, 2):
            assert watch(epoch, {"val_accuracy": epoch / 10}) is False
        assert claims.trials()[0].intermediate_values == {}
    watch(3, {"val_accuracy": 0.3})
    assert list(claims.trials()[0].intermediate_values.items()) == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_epochs_of_an_outage_at_the_end_of_the_training_can_be_delivered_later(
    memory: Storage, monkeypatch: pytest.MonkeyPatch
):
    claims = claims_on(memory, n_trials=1)
    watch = watching(claimed(claims), epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(memory.optuna, "set_trial_intermediate_value", failing)
        assert watch(1, {"val_accuracy": 0.1}) is False
        with pytest.raises(OperationalError):
            watch.deliver()
    watch.deliver()
    assert claims.trials()[0].intermediate_values == {1: 0.1}


def test_a_sweep_is_stopped_during_an_outage(memory: Storage, monkeypatch: pytest.MonkeyPatch):
    watch = watching(claimed(claims_on(memory, n_trials=1)))
    watch.stop.set()
    monkeypatch.setattr(memory.optuna, "set_trial_intermediate_value", failing)
    with pytest.raises(Stopped, match=STOPPED):
        watch(1, {"val_accuracy": 0.1})


def test_a_trial_that_another_process_gave_up_ends_with_its_epoch(memory: Storage):
    claims = claims_on(memory, n_trials=1)
    watch = watching(claimed(claims))
    claims.give_up_dead()
    with pytest.raises(TrialLost):
        watch(1, {"val_accuracy": 0.1})


TWO = [Objective("parameters", "minimize")]


def test_with_several_objectives_the_study_has_the_epochs_and_nothing_is_pruned(memory: Storage):
    claims = claims_on(memory, n_trials=1, others=TWO)
    watch = watching(claimed(claims), epochs=3)
    watch.report_earlier({"val_accuracy": [0.1]})
    for epoch in (2, 3):
        assert watch(epoch, {"val_accuracy": epoch / 10}) is False
    (trial,) = trial_rows(claims.trials())
    assert trial.reported == {1: 0.1, 2: 0.2, 3: 0.3}
    assert claims.trials()[0].intermediate_values == {}


def test_with_several_objectives_epochs_of_an_outage_are_stored_with_the_next_one(
    memory: Storage, monkeypatch: pytest.MonkeyPatch
):
    claims = claims_on(memory, n_trials=1, others=TWO)
    watch = watching(claimed(claims))
    with monkeypatch.context() as patch:
        patch.setattr(memory.optuna, "set_trial_user_attr", failing)
        assert watch(1, {"val_accuracy": 0.1}) is False
    watch(2, {"val_accuracy": 0.2})
    assert trial_rows(claims.trials())[0].reported == {1: 0.1, 2: 0.2}


def test_with_several_objectives_a_sweep_is_stopped_after_an_epoch(memory: Storage):
    watch = watching(claimed(claims_on(memory, n_trials=1, others=TWO)))
    watch.stop.set()
    with pytest.raises(Stopped, match=STOPPED):
        watch(1, {"val_accuracy": 0.1})


def test_with_several_objectives_a_trial_that_another_process_gave_up_ends_with_its_epoch(memory: Storage):
    claims = claims_on(memory, n_trials=1, others=TWO)
    watch = watching(claimed(claims))
    claims.give_up_dead()
    with pytest.raises(TrialLost):
        watch(1, {"val_accuracy": 0.1})
