"""The logs of workers: where they are, and the one that a worker process of this machine writes."""

from __future__ import annotations

import contextlib
import faulthandler
import re
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from src.redact import redact

LOGS = "worker_logs"  # in the folder where the command was started


def log_folder(study_name: str) -> Path:
    """Return the folder for the logs of a study's workers; characters that a folder cannot have become `_`."""
    return Path.cwd() / LOGS / (re.sub(r"[^\w.-]", "_", study_name).lstrip(".") or "_")


class WorkerLog:
    """A file with a line for each step of a worker, and with everything that the worker prints.

    A log that cannot be written never ends a worker.

    Args:
        path: the file, to which lines are appended; None for no log.

    Attributes:
        path: the file, None if there is none or it cannot be written.
    """

    def __init__(self, path: str | None) -> None:
        self.path: Path | None = None
        self._file: TextIO | None = None
        if path is not None:
            with contextlib.suppress(OSError):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                self._file = Path(path).open("a", buffering=1, errors="replace")  # noqa: SIM115 - as long as the process
                self.path = Path(path)

    def note(self, line: str) -> None:
        """Append a line with the time. It is not printed."""
        self.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(redact(line).split())}\n")

    def write(self, text: str) -> None:
        """Append a text as it is."""
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                self._file.write(text)

    def copy_output(self) -> None:
        """Append what this process prints from now on, and where it was if it crashes."""
        if self._file is None:
            return
        sys.stdout, sys.stderr = _Copied(sys.stdout, self), _Copied(sys.stderr, self)
        if not faulthandler.is_enabled():
            faulthandler.enable(self._file)


class _Copied:
    """A stream whose text goes into a log too."""

    def __init__(self, stream: TextIO, log: WorkerLog) -> None:
        self._stream = stream
        self._log = log

    def write(self, text: str) -> int:
        self._log.write(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
