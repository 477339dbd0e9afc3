"""The client of the process that is connected to a Ray cluster: `src.sweep.engines.ray_session`."""

from __future__ import annotations

import itertools
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from src.places import read_variable
from src.redact import redact

ROOT = Path(__file__).resolve().parents[3]  # of the code
CONNECT_SECONDS = 60  # Ray itself tries for minutes
REQUEST_SECONDS = 90  # longer than a request takes that waits for workers
LOOK_SECONDS = 0.2  # between two looks at what Ray prints while it connects
END_SECONDS = 20  # longer than a session takes for its end
REFUSED = "InvalidAuthToken"  # printed once a second for as long as Ray tries
_LOG_PREFIX = re.compile(r"^\[[^\]]*\] [\w./]+:\d+: ")  # of the lines that Ray's C++ code prints


class SessionError(Exception):
    """A request that Ray did not fulfill."""


class SessionEnded(SessionError):
    """The process that was connected to Ray has ended, or was ended because it did not answer."""


class TokenRefused(SessionEnded):
    """The cluster has another token."""


class Session:
    """The process `src.sweep.engines.ray_session`, which ends when nothing refers to this object anymore.

    Args:
        variables: for its environment, in addition to those of this process.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._numbers = itertools.count()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - it lasts as long as the process
        path = os.pathsep.join(filter(None, (str(ROOT), read_variable("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from src.sweep.engines.ray_session import main; main()"],
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": path, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            bufsize=0,  # `select` sees all answers
            start_new_session=True,  # Ctrl-C does not reach it
        )
        weakref.finalize(self, _end, self._process, self._printed)

    def ask(self, action: str, **arguments: Any) -> Any:
        """Return the answer to a request.

        Raises:
            SessionError: there is none, or it is an error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        number = next(self._numbers)
        with suppress(OSError):  # the process has ended, and so has its output
            self._process.stdin.write(json.dumps([number, action, arguments]).encode() + b"\n")
        answer = {"number": None}
        while answer["number"] != number:  # Ctrl-C may have ended the wait for an earlier answer
            self._wait(CONNECT_SECONDS if action == "connect" else REQUEST_SECONDS, self._process.stdout.fileno())
            line = self._process.stdout.readline()
            if not line:
                raise SessionEnded(self._last_line())
            answer = json.loads(line)
        if "error" in answer:
            raise SessionError(redact(answer["error"]))
        return answer["result"]

    def _wait(self, seconds: float, answers: int) -> None:
        """Wait for an answer, or for the end of the process; kill the process if neither comes."""
        deadline = time.monotonic() + seconds
        while not select.select([answers], [], [], LOOK_SECONDS)[0]:
            is_refused = REFUSED in self._text()
            if is_refused or time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                reason = f"no answer within {seconds:g} s ({self._last_line()})"
                raise TokenRefused(reason) if is_refused else SessionEnded(reason)

    def _text(self) -> str:
        return os.pread(self._printed.fileno(), 2**20, 0).decode(errors="replace")

    def _last_line(self) -> str:
        """Return the last line that the process printed."""
        lines = [_LOG_PREFIX.sub("", line.strip()) for line in self._text().splitlines() if line.strip()]
        return redact(lines[-1]) if lines else "the connection has ended"


def _end(process: subprocess.Popen[bytes], printed: IO[bytes]) -> None:
    """End a session; a cluster on this machine ends with it."""
    printed.close()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with suppress(OSError):  # what could not be written when the process had ended
            pipe.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
