"""Ctrl-C and SIGTERM as one exception, which is held back while a file is written."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CHECK_SECONDS = 0.2  # between two checks of a block that a signal waits for


class Interrupted(KeyboardInterrupt):
    """The process was asked to stop.

    Attributes:
        exit_code: 128 + the signal's number, as a shell reports it: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class Abandoned(KeyboardInterrupt):
    """Another process does this work now, so this one must keep nothing of it."""


class _Guard:
    depth = 0
    pending: int | None = None
    is_checking = False  # an alarm is set for the next check
    is_stuck: Callable[[FrameType | None], bool] | None = None


def _handle(signum: int, frame: FrameType | None) -> None:
    if _Guard.depth and _Guard.pending is None:
        _Guard.pending = signum
        _check_later()
        return
    _check_no_more()
    raise Interrupted(signum)


def _check_later() -> None:
    if _Guard.pending is not None and _Guard.is_stuck is not None:
        signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS)
        _Guard.is_checking = True


def _check_no_more() -> None:
    """Turn the alarm off: if it came after Python has removed its handlers, it would kill the process at its end."""
    if _Guard.is_checking:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _Guard.is_checking = False


def _check(signum: int, frame: FrameType | None) -> None:
    if _Guard.pending is not None and _Guard.is_stuck is not None and _Guard.is_stuck(frame):
        release()
    _check_later()


def raise_on_signals(ctrl_c: bool = True) -> None:
    """Turn SIGINT, SIGTERM and a closed terminal (unless nohup ignores it) into `Interrupted` in the main thread.

    Args:
        ctrl_c: whether SIGINT is one of them; otherwise it is ignored.
    """
    signal.signal(signal.SIGINT, _handle if ctrl_c else signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _handle)
    signal.signal(signal.SIGALRM, _check)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _handle)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold the first signal back until the block ends or calls `release`, so that no file is left half-written.

    A second signal is raised at once. Only the main thread receives signals, so in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Guard.depth += 1
    try:
        yield
    finally:
        _Guard.depth -= 1
        if not _Guard.depth:
            release()


def release() -> None:
    """Raise the signal that is held back, if there is one: for a place where a long deferred block can be left."""
    if _Guard.pending is not None:
        signum, _Guard.pending = _Guard.pending, None
        _check_no_more()
        raise Interrupted(signum)


@contextmanager
def released_if(is_stuck: Callable[[FrameType | None], bool]) -> Iterator[None]:
    """Raise a signal that is held back inside the block once the function returns True.

    Args:
        is_stuck: called again and again while a signal is held back, with the frame that the main thread executes. In
            other threads it is never called, because signals are raised in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _Guard.is_stuck = _Guard.is_stuck, is_stuck
    _check_later()
    try:
        yield
    finally:
        _Guard.is_stuck = before
