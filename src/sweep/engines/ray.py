"""Ray: each worker of a sweep is a detached actor of a cluster, see `src.sweep.engines.ray_session`.

Ray sends no file and no password: every machine of the cluster has the code and the sweep's folder under the same path,
and takes an address that contains a password from its own environment.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from src import console
from src.errors import ConfigError, UserError
from src.places import local_path, read_variable
from src.process.machine import THREADS, cores
from src.redact import HIDDEN, redact
from src.schema.engines import RayEngineConfig
from src.sweep.engines.work import Work

ADDRESS = "hydra.sweeper.engine.address"
ROOT = Path(__file__).resolve().parents[3]  # of the code
PORT_SECONDS = 5  # for a server to accept a connection
CONNECT_SECONDS = 60  # Ray itself tries for minutes
REQUEST_SECONDS = 90  # longer than a request takes that waits for workers
LOOK_SECONDS = 0.2  # between two looks at what Ray prints while it connects
END_SECONDS = 20  # longer than a session takes for its end
REFUSED = "InvalidAuthToken"  # printed once a second for as long as Ray tries
_NAME = re.compile(r"Ray actors (.+) \(\d+ workers?\)")
_LOG_PREFIX = re.compile(r"^\[[^\]]*\] [\w./]+:\d+: ")  # of the lines that Ray's C++ code prints


class RayEngine:
    """Starts workers as actors of a Ray cluster.

    Args:
        settings: `hydra.sweeper.engine`.
    """

    def __init__(self, settings: RayEngineConfig) -> None:
        self._settings = settings
        self._session: Session | None = None

    def check(self) -> None:
        """Connect to the cluster; one on this machine is started later.

        Raises:
            ConfigError: Ray is not installed, the cluster does not answer or accepts requests without a token, or no
                machine of it is large enough for a worker.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "hydra/sweeper/engine=ray: the package ray is not installed; run `make setup RAY=1` on each machine"
            )
        if self._settings.address == "local":
            self._check_room([{"CPU": cores(), "GPU": math.inf}])  # Ray will find out whether there are GPUs
        else:
            _check_token()
            _check_address(self._settings.address)
            self._connect({})

    def start(self, work: Work) -> str:
        """Start the workers; return the name of their actors.

        Raises:
            UserError: a machine of the cluster cannot run a worker.
        """
        secret = work.secret_variables()
        if self._session is None:
            self._connect(secret)
        elif secret:
            console.say(
                f"{' and '.join(secret)}: Ray does not send the password; each machine needs the variable in the "
                "environment in which Ray was started, or the password in PGPASSFILE"
            )
        prefix = f"{work.study}-{token_hex(2)}"  # a study that is resumed has other actors
        logs = [str(work.log_folder / f"{prefix}-{number}.log") for number in range(1, work.n_jobs + 1)]
        running = self._ask(
            "start",
            prefix=prefix,
            commands=[{"command": work.command(log)[2:], "log": log} for log in logs],
            cpus=self._settings.cpus_per_worker,
            gpus=self._settings.gpus_per_worker,
            root=str(ROOT),
            folder=str(Path.cwd()),
            defaults={
                **dict.fromkeys(THREADS, str(max(1, int(self._settings.cpus_per_worker)))),
                **{name: _without_password(address) for name, address in secret.items()},
            },
        )
        if running < work.n_jobs:
            console.say(
                f"{work.n_jobs - running} of {work.n_jobs} workers wait until the Ray cluster has room for them"
            )
        return f"Ray actors {prefix} ({work.n_jobs} worker{'s' * (work.n_jobs != 1)})"

    def count(self, name: str) -> int:
        """Return how many of the workers that were started under this name are queued or running."""
        return int(self._ask("count", prefix=_prefix(name)))

    def stop(self, name: str, now: bool) -> None:
        """Remove queued workers, and with `now` ask running ones to end at once; trials keep their checkpoints."""
        self._ask("stop", prefix=_prefix(name), now=now)

    def _connect(self, secret: Mapping[str, str]) -> None:
        """Connect to the cluster, or start one on this machine.

        Args:
            secret: variables for the environment of a cluster on this machine.
        """
        address = self._settings.address
        self._session = Session({**_local_environment(), **secret} if address == "local" else {})
        self._check_room(self._ask("connect", address=address))

    def _check_room(self, machines: Sequence[Mapping[str, float]]) -> None:
        """Raise ConfigError if a worker is larger than each machine: it would wait forever."""
        cpus, gpus = self._settings.cpus_per_worker, self._settings.gpus_per_worker
        if not any(machine["CPU"] >= cpus and machine["GPU"] >= gpus for machine in machines):
            sizes = sorted({f"CPU: {machine['CPU']:g}, GPU: {machine['GPU']:g}" for machine in machines})
            raise ConfigError(
                f"hydra.sweeper.engine: cpus_per_worker={cpus:g} and gpus_per_worker={gpus:g} are more than any "
                f"machine of the Ray cluster has ({'; '.join(sizes)}); ask for less, or add a larger machine"
            )

    def _ask(self, action: str, **arguments: Any) -> Any:
        if self._session is None:  # another command started the workers
            self._connect({})
        assert self._session is not None
        place = f"{ADDRESS}={self._settings.address}"
        try:
            return self._session.ask(action, **arguments)
        except TokenRefused as error:
            self._session = None
            raise ConfigError(
                f"{place}: the Ray cluster refused the token; set RAY_AUTH_TOKEN to the token of the cluster"
            ) from error
        except SessionError as error:
            if action == "connect":
                self._session = None
                raise ConfigError(
                    f"{place}: cannot connect to Ray: {error}. Start Ray on this machine as a part of the cluster, or "
                    "correct the address"
                ) from error
            if isinstance(error, SessionEnded):
                self._session = None
                raise UserError(
                    f"{place}: the connection to Ray has ended ({error}). Once Ray runs, repeat the command: it "
                    "resumes the sweep"
                ) from error
            raise UserError(f"{place}: Ray cannot {action} the workers: {error}") from error


class SessionError(Exception):
    """A request that Ray did not fulfill."""


class SessionEnded(SessionError):
    """The process that was connected to Ray has ended, or was ended because it did not answer."""


class TokenRefused(SessionEnded):
    """The cluster has another token."""


class Session:
    """The process `src.sweep.engines.ray_session`, which ends when nothing refers to this object any more.

    Args:
        variables: changes of its environment.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._numbers = itertools.count()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - it lasts as long as the process
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
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
                raise SessionEnded(self._last_words())
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
                reason = f"no answer within {seconds:g} s ({self._last_words()})"
                raise TokenRefused(reason) if is_refused else SessionEnded(reason)

    def _text(self) -> str:
        return os.pread(self._printed.fileno(), 2**20, 0).decode(errors="replace")

    def _last_words(self) -> str:
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


def _check_token() -> None:
    """Raise ConfigError unless Ray will send a token."""
    token = read_variable("RAY_AUTH_TOKEN")
    file = local_path(read_variable("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token")
    if read_variable("RAY_AUTH_MODE") != "token" or not (token or file.is_file()):
        raise ConfigError(
            "hydra/sweeper/engine=ray: anyone who reaches a Ray cluster without a token can run programs on it; set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here and on each machine of the cluster"
        )


def _check_address(address: str) -> None:
    """Raise ConfigError within seconds unless something answers at the address."""
    if address == "auto" and not (address := read_variable("RAY_ADDRESS") or ""):
        return  # Ray looks for a cluster on this machine
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ConfigError(f"{ADDRESS}: got {address!r}, expected auto, local or HOST:PORT, such as 10.0.0.5:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PORT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"{ADDRESS}={address} does not answer ({error}); start Ray there, or correct the address"
        ) from error


def _local_environment() -> dict[str, str]:
    """Return the environment of a cluster on this machine, which only this user can reach."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on 127.0.0.1 only
        "CONVLAB_RAY_FOLDER": tempfile.mkdtemp(prefix="convlab-ray-", dir="/tmp"),  # sockets have short paths
    }


def _prefix(name: str) -> str:
    """Return the prefix of the actors that were started under this name."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise UserError(f"{name!r} was not started with Ray")
    return found[1]


def _without_password(address: str) -> str:
    """Return the address of a database or a server without its password."""
    return redact(address).replace(f":{HIDDEN}@", "@").replace(f"{HIDDEN}@", "")
