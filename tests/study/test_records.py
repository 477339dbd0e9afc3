"""Every study of a storage as plain values, and the end of trials whose worker is dead."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from src.schema import NoPrunerConfig, RandomConfig, SweeperConfig
from src.study import Claims, NoTrial, Storage, end_dead_trials, open_storage, open_study, study_records, unique_id

SETTINGS = SweeperConfig(name="random", sampler=RandomConfig(), pruner=NoPrunerConfig(), n_trials=9)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    opened = open_storage(f"sqlite:///{tmp_path / 'optuna.db'}", "")
    yield opened
    opened.close()


def claims_of(storage: Storage, name: str) -> Claims:
    unique_id(open_study(name, storage.optuna, "maximize"))
    return Claims(name, storage, SETTINGS, n_trials=9)


def claim(claims: Claims, owner: str) -> optuna.Trial:
    claimed = claims.claim(owner, lambda trial: trial.suggest_float("x", 0, 1))
    assert not isinstance(claimed, NoTrial)
    return claimed[0]


def test_a_trial_is_dead_exactly_when_its_worker_s_lock_is_free(storage: Storage) -> None:
    claims = claims_of(storage, "one")
    with claims.alive("worker"):
        claim(claims, "worker")
        (record,) = study_records(storage)
        assert [(trial.is_dead, trial.is_alive) for trial in record.trials] == [(False, True)]
    (record,) = study_records(storage)
    assert [(trial.is_dead, trial.is_alive) for trial in record.trials] == [(True, False)]


def test_a_trial_without_an_owner_lost_its_worker_during_the_claim(storage: Storage) -> None:
    claims_of(storage, "one").study.ask()
    (record,) = study_records(storage)
    assert record.trials[0].is_dead


def test_the_records_say_how_trials_ended(storage: Storage) -> None:
    claims = claims_of(storage, "one")
    with claims.alive("worker"):
        claims.complete(claim(claims, "worker"), "worker", 0.5, {"run_id": "0123"})
        claims.interrupt(claim(claims, "worker"), "worker", "stopped")
        claims.fail(claim(claims, "worker"), "worker", "no", {})  # which repeats the one that was interrupted
    (record,) = study_records(storage)
    ends = [(trial.state, trial.run_id, trial.is_interrupted, trial.retry_of) for trial in record.trials]
    assert ends == [("COMPLETE", "0123", False, None), ("FAIL", None, True, None), ("FAIL", None, False, 1)]


def test_reading_changes_nothing_and_other_programs_studies_are_skipped(storage: Storage) -> None:
    optuna.create_study(study_name="foreign", storage=storage.optuna)
    claims = claims_of(storage, "one")
    claim(claims, "worker")
    assert [record.name for record in study_records(storage)] == ["one"]
    assert [trial.state.name for trial in claims.trials()] == ["RUNNING"]
    assert optuna.load_study(study_name="foreign", storage=storage.optuna).user_attrs == {}


def test_dead_trials_are_ended_as_interrupted_and_those_of_living_workers_stay(storage: Storage) -> None:
    claims = claims_of(storage, "one")
    claim(claims, "dead")
    with claims.alive("worker"):
        claims.study.enqueue_trial({"x": 0.5})
        claims.study.ask().set_user_attr("owner", "worker")
        end_dead_trials(storage, "one", lambda _: 0)
        (record,) = study_records(storage)
        states = [(trial.state, trial.is_interrupted) for trial in record.trials]
        assert states == [("FAIL", True), ("RUNNING", False)]
