"""Stores that do not answer for a while."""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.support.servers import MlflowServer


class UnreliableClient:
    """MLflow's client of a real store, whose calls fail as those on an absent server do while `is_down`.

    Attributes:
        is_down: whether the calls fail.
        failures: how many calls failed.
    """

    def __init__(self, uri: str) -> None:
        self.client = MlflowClient(uri)
        self.is_down = False
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        return self._wrapped(value) if callable(value) else value

    def _wrapped(self, method: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if self.is_down:
                self.failures += 1
                raise refused()
            return method(*arguments, **named)

        return call


def refused() -> MlflowException:
    """The error of MLflow's client for a server that is not there."""
    try:
        try:
            raise requests.ConnectionError("Max retries exceeded with url: /api")
        except requests.ConnectionError as error:
            raise MlflowException(f"API request failed with exception {error}")  # noqa: B904 - as MLflow does it
    except MlflowException as error:
        return error


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the exclusive lock of a SQLite file."""
    with contextlib.closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("begin exclusive")
        try:
            yield
        finally:
            connection.execute("rollback")


@contextlib.contextmanager
def paused(server: MlflowServer) -> Iterator[None]:
    """Stop all processes of a server, which then takes connections and does not answer."""
    os.killpg(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)
