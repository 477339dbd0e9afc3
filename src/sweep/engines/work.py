"""The work that an engine starts: `python -m src.sweep work STUDY`, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from src.errors import ConfigError
from src.redact import redact


@dataclass(frozen=True)
class Work:
    """The work that an engine's workers do.

    Attributes:
        study: the name of the study.
        n_jobs: how many workers there are.
        storage: the address of the study's storage, which may contain a password.
        tracking_uri: the address of the runs, which may contain a password.
        places: further arguments of the command: extensions, and paths that were typed.
        log_folder: the folder for the workers' logs, as an absolute path.
    """

    study: str
    n_jobs: int
    storage: str
    tracking_uri: str
    places: Sequence[str]
    log_folder: Path

    def command(self, log: str) -> list[str]:
        """Return the command of one worker, which contains no password.

        Args:
            log: the file for its output.
        """
        command = [sys.executable, "-m", "src.sweep", "work", self.study, "--log", log]
        if redact(self.storage) == self.storage:
            command += ["--storage", self.storage]
        if redact(self.tracking_uri) == self.tracking_uri:
            command.append(f"tracking.uri={self.tracking_uri}")
        return [*command, *self.places]

    def secret_variables(self) -> dict[str, str]:
        """Return variables of the environment with the addresses that `command` must not contain."""
        addresses = {"OPTUNA_STORAGE": self.storage, "MLFLOW_TRACKING_URI": self.tracking_uri}
        return {name: address for name, address in addresses.items() if redact(address) != address}


def check_places(places: Sequence[str]) -> None:
    """Raise ConfigError if a path or address that was typed contains a password, which command lines would show."""
    for place in places:
        if redact(place) != place:
            raise ConfigError(
                f"{place.partition('=')[0]}: it contains a password, which the workers' command lines would show; "
                "set it in conf/local/, which the workers read too"
            )


class Engine(Protocol):
    """Starts workers on a cluster and stops them. It decides nothing about trials."""

    def check(self) -> None:
        """Raise ConfigError if the engine cannot be used on this machine."""

    def start(self, work: Work) -> str:
        """Start the workers, and return the name of what was started, such as `Slurm job 17`.

        Raises:
            UserError: the cluster refused; the message contains its answer.
        """

    def count(self, name: str) -> int:
        """Return how many of the workers that were started under this name are queued or running."""

    def stop(self, name: str, now: bool) -> None:
        """Remove queued workers, and with `now` ask running ones to end at once; trials keep their checkpoints."""
