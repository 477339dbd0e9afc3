"""Locks that the system or the database server frees when their holder dies, without clocks and heartbeats.

With SQLite they are file locks next to the database. On PostgreSQL they are advisory locks, which last as long as their
connection.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy
from filelock import FileLock, Timeout

# A lock lasts as long as its connection, so no firewall may close it as idle. The server probes the connection too,
# because a client that loses its power does not close it.
KEPT_ALIVE = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "options": "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
}


class Locks(Protocol):
    """Locks by name, each held by one process on any machine."""

    def holding(self, name: str) -> AbstractContextManager[None]:
        """Waits for the lock, then holds it as long as the block lasts."""

    def is_free(self, name: str) -> bool:
        """Returns at once whether no process holds the lock."""

    def forget(self, name: str) -> None:
        """Removes what is left of a lock that will never be used again."""


class FileLocks:
    """Locks between the processes of one machine, as files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        with self._lock(name):
            yield

    def is_free(self, name: str) -> bool:
        lock = self._lock(name)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        lock.release()
        return True

    def forget(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _lock(self, name: str) -> FileLock:
        return FileLock(self._path(name), poll_interval=0.01)

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"


class PostgresLocks:
    """Locks between all processes that use one PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._engine = sqlalchemy.create_engine(
            url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool, connect_args=KEPT_ALIVE
        )

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        with self._engine.connect() as connection:  # the lock is free again when the connection is closed
            connection.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), {"key": _key(name)})
            yield

    def is_free(self, name: str) -> bool:
        with self._engine.connect() as connection:
            key = {"key": _key(name)}
            is_free = bool(connection.execute(sqlalchemy.text("select pg_try_advisory_lock(:key)"), key).scalar_one())
            if is_free:
                connection.execute(sqlalchemy.text("select pg_advisory_unlock(:key)"), key)
            return is_free

    def forget(self, name: str) -> None:
        """Does nothing: nothing is left of an advisory lock."""


def _key(name: str) -> int:
    """Returns the name as PostgreSQL's key of an advisory lock, a signed integer of 64 bits."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
