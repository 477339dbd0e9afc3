"""Ray: each worker of a sweep is a detached actor of a cluster, see `src.sweep.engines.ray_session`.

Ray sends no file and no password: every machine of the cluster has the code and the sweep's folder under the same path,
and takes an address that contains a password from its own environment.
"""

from __future__ import annotations

import importlib.util
import math
import re
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

from src import console
from src.errors import ConfigError, UserError
from src.places import local_path, read_variable
from src.process.machine import THREADS, cores
from src.redact import HIDDEN, redact
from src.schema.engines import RayEngineConfig
from src.sweep.engines.ray_client import ROOT, Session, SessionEnded, SessionError, TokenRefused
from src.sweep.engines.work import Work

ADDRESS = "hydra.sweeper.engine.address"
PORT_SECONDS = 5  # for a server to accept a connection
_NAME = re.compile(r"Ray actors (.+) \(\d+ workers?\)")


class RayEngine:
    """Starts workers as actors of a Ray cluster.

    Args:
        settings: `hydra.sweeper.engine`.
    """

    def __init__(self, settings: RayEngineConfig) -> None:
        self._settings = settings
        self._session: Session | None = None

    def check(self) -> None:
        """Connect to the cluster. A cluster on this machine is started later.

        Raises:
            ConfigError: Ray is not installed, the cluster does not answer or accepts requests without a token, or no
                machine of it is large enough for a worker.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "hydra/sweeper/engine=ray: the package ray is not installed; run `make setup RAY=1` on each machine"
            )
        if self._settings.address == "local":
            self._check_size([{"CPU": cores(), "GPU": math.inf}])  # Ray itself counts the GPUs later
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
                f"Ray does not send passwords: start Ray on each machine with {' and '.join(secret)} in its "
                "environment, or put the database's password into the file that PGPASSFILE names"
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
                f"{work.n_jobs - running} of {work.n_jobs} workers are queued until the Ray cluster has free CPUs "
                "or GPUs"
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
        self._check_size(self._ask("connect", address=address))

    def _check_size(self, machines: Sequence[Mapping[str, float]]) -> None:
        """Raise ConfigError if a worker is larger than each machine: it would wait forever."""
        cpus, gpus = self._settings.cpus_per_worker, self._settings.gpus_per_worker
        if not any(machine["CPU"] >= cpus and machine["GPU"] >= gpus for machine in machines):
            sizes = sorted({f"CPU: {machine['CPU']:g}, GPU: {machine['GPU']:g}" for machine in machines})
            raise ConfigError(
                f"hydra.sweeper.engine: no machine of the Ray cluster has cpus_per_worker={cpus:g} and "
                f"gpus_per_worker={gpus:g}: the machines have {'; '.join(sizes)}; use smaller values, or add a larger "
                "machine"
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


def _check_token() -> None:
    """Raise ConfigError unless Ray will send a token."""
    token = read_variable("RAY_AUTH_TOKEN")
    file = local_path(read_variable("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token")
    if read_variable("RAY_AUTH_MODE") != "token" or not (token or file.is_file()):
        raise ConfigError(
            "hydra/sweeper/engine=ray: anyone who can reach a Ray cluster that needs no token can run programs on it; "
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here and on each machine of the cluster"
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
