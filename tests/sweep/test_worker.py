"""A worker of a sweep: when it stops claiming trials."""

import time
from typing import Any

import pytest

from src.sweep.worker import Job, Worker
from src.tracking import StudyId


@pytest.mark.parametrize(("seconds", "late"), [(-1, True), (3600, False), (None, False)])
@pytest.mark.parametrize("clock", [0.0, 4e9])
def test_setting_the_clock_does_not_change_the_timeout(
    seconds: float | None, late: bool, clock: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan: Any = None
    deadline = None if seconds is None else time.monotonic() + seconds
    worker = object.__new__(Worker)  # without its stores
    worker.job = Job(plan, StudyId("a", "b"), None, n_trials=1, queue=[], first=0, starter="me", deadline=deadline)
    monkeypatch.setattr(time, "time", lambda: clock)
    assert worker._is_too_late() is late
