"""Errors that nothing handles: printed with their secrets hidden, or as one sentence where that says enough."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType

from src.errors import is_memory_error
from src.redact import hide_inputs, redact

FAILED = 1  # exit code
STOPPED = 130  # exit code after Ctrl-C, as a shell reports it
_NO_MEMORY = ("cannot allocate memory", "failed to map segment", "can't start new thread", "without exception set")
_TENSOR = re.compile(r"OOM when allocating tensor with shape\S* and type \w+")  # in a long text of TensorFlow


def redact_failures() -> None:
    """Have Python print every traceback with its secrets hidden, in threads and while it frees objects too.

    Ctrl-C and too little memory are reported in a sentence: they may come while the libraries are still imported.
    """
    sys.excepthook = _report
    threading.excepthook = _report_in_thread
    sys.unraisablehook = _report_ignored


def describe_memory_error(error: BaseException) -> str | None:
    """Return a sentence for an error that was caused by too little memory, None for other errors."""
    for one in _chain(error):
        is_refusal = is_memory_error(one) or (isinstance(one, OSError) and one.errno == errno.ENOMEM)
        is_hidden = isinstance(one, ImportError | RuntimeError | SystemError)
        if is_refusal or (is_hidden and any(sign in str(one).lower() for sign in _NO_MEMORY)):
            tensor = _TENSOR.search(str(one))
            reason = tensor[0] if tensor else (str(one).splitlines() or ["no reason given"])[0]
            return (
                f"error: out of memory ({reason}); free memory, raise the limit (ulimit -v), or use smaller or fewer "
                "images"
            )
    return None


def print_error(message: str) -> None:
    """Print to the error stream, with all secrets hidden that the process was given."""
    hide_inputs(sys.argv or (), os.environ)  # at its very end, Python has removed the arguments
    with contextlib.suppress(OSError, ValueError):  # the stream is closed
        print(redact(message), file=sys.stderr, flush=True)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if (stop := _interruption(error)) is not None:
        print_error(str(stop) or "stopped by SIGINT")
        sys.exit(getattr(stop, "exit_code", STOPPED))
    if os.environ.get("HYDRA_FULL_ERROR") != "1" and (message := describe_memory_error(error)):
        print_error(message)
        sys.exit(FAILED)
    print_error("".join(traceback.format_exception(kind, error, trace)).rstrip())


def _interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interruption that an error is, or that caused it; None for other errors.

    Python 3.11 turns any exception in a `__set_name__` into a RuntimeError, and imports make thousands of classes.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error


def _report_in_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_type is SystemExit:
        return
    name = failure.thread.name if failure.thread is not None else "of unknown name"
    lines = traceback.format_exception(failure.exc_type, failure.exc_value, failure.exc_traceback)
    print_error(f"Exception in thread {name}:\n{''.join(lines).rstrip()}")


def _report_ignored(failure: sys.UnraisableHookArgs) -> None:
    lines = traceback.format_exception(failure.exc_type, failure.exc_value, failure.exc_traceback)
    print_error(f"{failure.err_msg or 'Exception ignored in'}: {failure.object!r}\n{''.join(lines).rstrip()}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
