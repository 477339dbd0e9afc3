"""The time that a call takes."""

import time

import pytest

from src.process.timing import CALLS, WARM_UPS, median_seconds


def test_the_first_calls_are_not_counted_and_of_the_others_the_median_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = 0.0, 0

    def call() -> None:
        nonlocal now, calls
        calls += 1
        now += 100 if calls <= WARM_UPS or calls == 10 else 2

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert median_seconds(call) == 2
    assert calls == WARM_UPS + CALLS
