"""Ctrl-C and SIGTERM as one exception, which waits while something is being written."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The process was asked to stop.

    Attributes:
        exit_code: 128 + the signal's number, as a shell reports it: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class _Guard:
    depth = 0
    pending: int | None = None


def _handle(signum: int, frame: FrameType | None) -> None:
    if _Guard.depth and _Guard.pending is None:
        _Guard.pending = signum
        return
    raise Interrupted(signum)


def exit_on_ctrl_c() -> None:
    """Ends a command that is still importing its libraries, on Ctrl-C, without a trace of what it was importing."""
    main = sys.modules["__main__"].__spec__
    is_command = sys.argv[0] == "-m" or (main is not None and main.name.startswith("pipelines."))
    if is_command:  # and not a notebook, a test or a program of somebody else, which handles Ctrl-C itself
        signal.signal(signal.SIGINT, _exit)


def _exit(signum: int, frame: FrameType | None) -> None:
    print(Interrupted(signum), file=sys.stderr, flush=True)
    os._exit(Interrupted(signum).exit_code)


def raise_on_signals(ctrl_c: bool = True) -> None:
    """Turns SIGINT, SIGTERM and a closed terminal (unless nohup ignores it) into `Interrupted` in the main thread.

    Args:
        ctrl_c: whether SIGINT is one of them; otherwise it is ignored.
    """
    signal.signal(signal.SIGINT, _handle if ctrl_c else signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _handle)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _handle)


@contextmanager
def deferred() -> Iterator[None]:
    """Holds the first signal back until the block is done or calls `release`, so that no file is left half-written.

    A second signal goes through at once.
    """
    _Guard.depth += 1
    try:
        yield
    finally:
        _Guard.depth -= 1
        if not _Guard.depth:
            release()


def release() -> None:
    """Raises the signal that is held back, if there is one: for a place where a long deferred block can be left."""
    if _Guard.pending is not None:
        signum, _Guard.pending = _Guard.pending, None
        raise Interrupted(signum)
