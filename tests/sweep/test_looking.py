"""Watching a study: until it is complete, or until nobody works on it and nobody will."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from optuna import Study
from optuna.trial import TrialState, create_trial

from src import study
from src.study import Storage, open_storage
from src.study.presence import MAX_NAMES, PRESENT, note_arrival, note_queued
from src.sweep import looking
from src.sweep.looking import watch
from tests.support.studies import closing_storage

NAME = "watched"
TICKS = 40  # more than `watch` waits when nobody works


@pytest.fixture
def storage(url: str) -> Iterator[Storage]:
    with closing_storage(open_storage(url, "sqlite:///mlflow.db")) as opened:
        yield opened


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'optuna.db'}"


@pytest.fixture
def incomplete(storage: Storage) -> Study:
    """A study that has one of ten trials. A command that has ended worked on it."""
    opened = study.open_study(NAME, storage.optuna, "maximize")
    study.keep_definition(opened, {"metric": "val_accuracy", "settings": {"max_retries": 2}}, {})
    study.place_order(opened, study.Order(10, None))
    opened.add_trial(create_trial(value=0.5))
    note_arrival(opened, storage.locks, "ended")
    return opened


def nothing() -> None:
    """Leave everything as it is."""


class Clock:
    """Counts the pauses of `watch` instead of waiting, and does something after some of them."""

    def __init__(self, after: Callable[[], object], later: Callable[[], object]) -> None:
        self.pauses = 0
        self._events = {TICKS: after, 2 * TICKS: later}

    def sleep(self, seconds: float) -> None:
        self.pauses += 1
        self._events.get(self.pauses, nothing)()
        assert self.pauses < 10 * TICKS, "it does not end"
        time.sleep(0)


@contextmanager
def watching(
    monkeypatch: pytest.MonkeyPatch, after: Callable[[], object] = nothing, later: Callable[[], object] = nothing
) -> Iterator[Clock]:
    clock = Clock(after, later)
    with monkeypatch.context() as patch:
        patch.setattr(looking, "time", clock)
        yield clock


def nobody_came(opened: Study) -> None:
    """Leave the study as it is."""


def worker_was_killed(opened: Study) -> None:
    opened.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={"owner": "dead"}))


def earlier_version_made_it(opened: Study) -> None:
    opened.set_user_attr(PRESENT, [])


@pytest.mark.parametrize("happen", [nobody_came, worker_was_killed, earlier_version_made_it])
def test_it_ends_with_a_sentence_when_nobody_works_on_the_study(
    incomplete: Study, url: str, happen: Callable[[Study], None], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    happen(incomplete)
    with watching(monkeypatch):
        watch(NAME, url)
    assert f"nobody works on {NAME}; to continue it: python -m src.sweep resume {NAME}" in capsys.readouterr().out


@pytest.mark.parametrize("is_owner", [True, False])
def test_it_does_not_end_while_a_command_or_a_worker_lives(
    incomplete: Study, storage: Storage, url: str, is_owner: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        stack.enter_context(closing(storage.locks.keep("owner living")))
        if is_owner:
            incomplete.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={"owner": "living"}))
        else:
            note_arrival(incomplete, storage.locks, "living")
        with watching(monkeypatch, after=stack.close) as clock:
            watch(NAME, url)
        assert clock.pauses > TICKS


def test_it_does_not_end_while_a_cluster_may_start_workers(
    incomplete: Study, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_queued(incomplete, "Slurm job 17")
    with watching(monkeypatch, after=lambda: note_queued(incomplete, None)) as clock:
        watch(NAME, url)
    assert clock.pauses > TICKS


def test_it_waits_for_the_trials_of_an_order_that_is_raised_meanwhile(
    incomplete: Study, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    note_queued(incomplete, "Slurm job 17")
    incomplete.add_trials([create_trial(value=0.5)] * 8)  # nine of ten

    def raise_order() -> None:
        study.place_order(incomplete, study.Order(11, None))
        incomplete.add_trial(create_trial(value=0.5))

    def end() -> None:
        incomplete.add_trial(create_trial(value=0.5))

    with watching(monkeypatch, after=raise_order, later=end) as clock:
        watch(NAME, url)
    assert clock.pauses == 2 * TICKS
    assert "11 trials: 11 complete" in capsys.readouterr().out


def test_queued_workers_of_a_sweep_that_was_stopped_are_not_waited_for(
    incomplete: Study, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_queued(incomplete, "Slurm job 17")
    study.ask_to_stop(incomplete)
    study.ask_to_stop(incomplete, False)
    with watching(monkeypatch) as clock:
        watch(NAME, url)
    assert clock.pauses < TICKS


def test_commands_that_have_ended_are_forgotten_when_there_are_many(incomplete: Study, storage: Storage) -> None:
    with closing(storage.locks.keep("owner 0")):
        for number in range(MAX_NAMES):
            note_arrival(incomplete, storage.locks, str(number))
        assert incomplete.user_attrs[PRESENT] == ["0", str(MAX_NAMES - 1)]
