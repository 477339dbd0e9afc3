"""A request to stop a sweep: Ctrl-C, SIGTERM, or `python -m src.sweep stop`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from src import console, study
from src.process.interrupt import Interrupted
from src.sweep.workers import Workers

ECHO_SECONDS = 2.0  # a cluster signals the script of a job and the worker; the script passes its signal on


class Stopping:
    """Collects the signals that ask this process to stop, and passes the request on to the workers.

    While trials are trained the first signal lets them end with their epoch, and the second ends them at once. Waiting
    for the storage, or for a lock that another process holds, ends within seconds where nothing could be lost by it.

    Attributes:
        signals: those that were received.
        is_asked: whether the workers were asked to stop.
        allowed: the number of signals after which this process still waits for the storage and for locks.
        raised: the number of signals after which the next one is raised.
    """

    def __init__(self, workers: Workers) -> None:
        self.signals: list[int] = []
        self.is_asked = False
        self.allowed = 0
        self.raised = 2
        self._workers = workers
        self._is_training = False
        self._last = -ECHO_SECONDS  # when SIGTERM came last, by the monotonic clock

    @contextmanager
    def noting_signals(self) -> Iterator[None]:
        """Notes signals instead of raising them, as long as the block lasts."""
        asking = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {signum: signal.getsignal(signum) for signum in asking}
        for signum in asking:
            if before[signum] is not signal.SIG_IGN:
                signal.signal(signum, self._note)
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Passes signals on to the workers, as long as the block lasts."""
        self._is_training, self.allowed = True, 1
        try:
            yield
        finally:
            self._is_training = False

    def writing_results(self) -> None:
        """Lets the second signal end this process: no trial can be lost any more."""
        self.allowed, self.raised = 0, 1

    def obey(self, is_stopped: bool = False) -> None:
        """Asks the workers to stop, or ends them, as the signals say.

        Args:
            is_stopped: whether another process asked the sweep to stop.
        """
        if (is_stopped or self.signals) and not self.is_asked:
            self.is_asked = True
            self._workers.stop()
            console.say("stopping: the running trials end with their epoch; press Ctrl-C again to end them now")
        if len(self.signals) > 1:
            self._workers.kill()

    def between(self, waited: float) -> None:
        """Obeys signals while this process waits; raises Interrupted if it must not wait any longer."""
        if self._is_training:
            self.obey()
        if len(self.signals) > self.allowed and waited > study.HURRY_SECONDS:
            raise Interrupted(self.signals[0])

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGTERM:
            before, self._last = self._last, time.monotonic()
            if self._last - before < ECHO_SECONDS:
                return
        self.signals.append(signum)
        if len(self.signals) > self.raised:
            raise Interrupted(signum)
