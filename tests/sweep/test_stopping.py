"""Signals to the process of a sweep."""

import signal
from collections.abc import Sequence

import pytest

from src.sweep import stopping as stopping_module
from src.sweep.local import LocalWorkers
from src.sweep.stopping import Stopping


def received(*signals: signal.Signals) -> Sequence[int]:
    """The requests that a process notes when it gets these signals at once."""
    stopping = Stopping(LocalWorkers(1))
    with stopping.noting_signals():
        for signum in signals:
            signal.raise_signal(signum)
    return stopping.signals


def test_a_signal_that_a_cluster_sends_to_the_script_and_to_the_worker_counts_once() -> None:
    assert received(signal.SIGTERM, signal.SIGTERM) == [signal.SIGTERM]


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)])
def test_another_request_counts(signals: tuple[signal.Signals, signal.Signals]) -> None:
    assert received(*signals) == list(signals)


def test_a_signal_that_comes_later_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping_module, "ECHO_SECONDS", 0)
    assert received(signal.SIGTERM, signal.SIGTERM) == [signal.SIGTERM] * 2
