"""A worker of a sweep: when it stops claiming trials, and its log."""

import time

import pytest

from src.space import Places
from src.sweep.job import Job
from src.sweep.worker import Worker, _print_retry
from src.tracking import StudyId


@pytest.mark.parametrize(("seconds", "late"), [(-1, True), (3600, False), (None, False)])
@pytest.mark.parametrize("clock", [0.0, 4e9])
def test_setting_the_clock_does_not_change_the_timeout(
    seconds: float | None, late: bool, clock: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = None if seconds is None else time.monotonic() + seconds
    worker = object.__new__(Worker)  # without its stores
    worker.job = Job({}, Places("", []), StudyId("a", "b"), None, n_trials=1, first=0, starter="me", deadline=deadline)
    monkeypatch.setattr(time, "time", lambda: clock)
    assert worker._is_too_late() is late


@pytest.mark.parametrize(
    ("epoch", "line"),
    [
        (3, "trial 7 continues trial 2 after epoch 3\n"),
        (0, "trial 7 repeats trial 2, because this machine has no checkpoint of it\n"),
    ],
)
def test_the_log_says_where_a_repeated_trial_begins(epoch: int, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    _print_retry(7, 2, epoch)
    assert capfd.readouterr().out == line
