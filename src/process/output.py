"""The output of a command: lost output ends a command that only prints, and others continue without it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TextIO

from src.errors import UserError
from src.process.failures import print_error

if TYPE_CHECKING:
    from typing_extensions import Buffer

_GONE = (errno.EPIPE, errno.EIO)  # the reader of a pipe has ended, the terminal was closed


class LostOutput(UserError):
    """Output that cannot be written, for example because the disk is full."""


@contextmanager
def written_output() -> Iterator[None]:
    """Write all output of the block before it ends, unless it may be lost (`lasting_output`).

    Raises:
        BrokenPipeError: nothing reads the output anymore.
        LostOutput: the output cannot be written for another reason.
    """
    before = sys.stdout
    sys.stdout = stream = _like(before, _WrittenFile)
    try:
        yield
    finally:
        sys.stdout = before
        if stream is not before:
            stream.flush()


@contextmanager
def lasting_output(is_silent: bool = False) -> Iterator[None]:
    """Drop output of the block that cannot be written, instead of raising an error.

    The reader of a pipe may end (`| head`, a killed `tee`), a terminal may be closed, and the disk of a log file may be
    full. The error stream says once that output is lost.

    Args:
        is_silent: True for a process whose parent has the same output, and says that it is lost.
    """
    before = sys.stdout, sys.stderr
    sys.stdout = _like(sys.stdout, partial(_LastingFile, on_loss=repr if is_silent else _report))
    sys.stderr = _like(sys.stderr, partial(_LastingFile, on_loss=repr))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        sys.stdout, sys.stderr = before


class _WrittenFile(io.FileIO):
    """A file descriptor that explains in a sentence why it cannot be written."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._is_lost = False

    def write(self, data: Buffer, /) -> int:
        if self._is_lost:  # at the end of the process
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._is_lost = True
            reason = error.strerror or error
            raise LostOutput(f"the output cannot be written ({reason}); free space, or write it elsewhere") from error


class _LastingFile(io.FileIO):
    """A file descriptor that drops what it cannot write."""

    def __init__(self, descriptor: int, on_loss: Callable[[OSError], object]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._on_loss = on_loss
        self._has_lost = False

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in _GONE:
                self._discard()
            if not self._has_lost:
                self._has_lost = True
                self._on_loss(error)
            return memoryview(data).nbytes

    def _discard(self) -> None:
        """Discard later output of this process, and of those that it starts."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def _like(stream: TextIO, open_file: Callable[[int], io.FileIO]) -> TextIO:
    """Return a stream like this one, with another object for its file descriptor.

    The stream itself is returned if it has no file descriptor, or if what it cannot write is dropped already.
    """
    if not isinstance(stream, io.TextIOWrapper):  # there is none, or a notebook or a test has replaced it
        return stream
    if isinstance(getattr(stream.buffer, "raw", stream.buffer), _LastingFile):
        return stream
    try:
        file = open_file(stream.fileno())
    except (OSError, ValueError):
        return stream
    _flush(stream)
    return io.TextIOWrapper(
        file if stream.write_through else io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _flush(stream: TextIO | None) -> None:
    with contextlib.suppress(OSError, ValueError):
        if stream is not None:
            stream.flush()


def _report(error: OSError) -> None:
    print_error(
        f"the output cannot be written ({error.strerror or error}); this command continues without it. If it is "
        "stopped, python -m src.doctor says how to resume"
    )
