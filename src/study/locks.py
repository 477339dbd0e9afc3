"""Locks that the system or the database server frees when their holder dies, without clocks and heartbeats.

With SQLite they are file locks next to the database. On PostgreSQL they are advisory locks, which last as long as their
connection.
"""

import contextlib
import hashlib
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy
from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from src.study.patience import LockLost, Patience

# A lock lasts as long as its connection, so no firewall may close it as idle. The server probes the connection too,
# because a machine that loses power does not close it. A network that drops every packet is noticed after
# tcp_user_timeout, in milliseconds.
KEPT_ALIVE = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "tcp_user_timeout": 30_000,
    "options": "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
}
FILE_POLL_SECONDS = 0.01  # between two attempts to take a lock
SERVER_POLL_SECONDS = 0.05
KEEP_SECONDS = 0.5  # between two looks at a lock that is kept
CLOSE_SECONDS = 3.0  # an attempt to reach the server may take ten times as long
GRACE_SECONDS = 5.0  # a lock that is kept is taken again within this time

TAKE = sqlalchemy.text("select pg_try_advisory_lock(:key)")
IS_HELD = sqlalchemy.text(
    "select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 1 "
    "and database = (select oid from pg_database where datname = current_database()) "
    "and cast(classid as bigint) = :high and cast(objid as bigint) = :low)"
)


class Closing(Protocol):
    """Something that lasts until it is closed."""

    def close(self) -> None: ...


class Locks(Protocol):
    """Locks by name, each held by one process on any machine."""

    def holding(self, name: str) -> AbstractContextManager[sqlalchemy.Connection | None]:
        """Waits for the lock, then holds it as long as the block lasts.

        The block gets the connection that holds the lock, None for a lock that cannot be lost. What is written over
        this connection is written only if the lock is still held.
        """

    def keep(self, name: str) -> Closing:
        """Waits for the lock, then holds it until the result is closed, even if the database is restarted."""

    def is_free(self, name: str) -> bool:
        """Returns at once whether no process holds the lock."""

    def abandoned(self, names: Collection[str]) -> set[str]:
        """Returns those of the locks that no process keeps any more; may wait for one that takes its lock again."""

    def forget(self, name: str) -> None:
        """Removes what is left of a lock that will never be used again."""


class FileLocks:
    """Locks between the processes of one machine, as files in a folder."""

    def __init__(self, folder: Path, patience: Patience | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._patience = patience or Patience()

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        lock = FileLock(self._path(name))
        self._patience.until(lambda: _take(lock), FILE_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def keep(self, name: str) -> Closing:
        stack = ExitStack()
        stack.enter_context(self.holding(name))
        return stack

    def is_free(self, name: str) -> bool:
        if not self._path(name).exists():
            return True
        lock = FileLock(self._path(name))
        if _take(lock) is None:
            return False
        lock.release()
        return True

    def abandoned(self, names: Collection[str]) -> set[str]:
        return {name for name in names if self.is_free(name)}

    def forget(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"


class PostgresLocks:
    """Locks between all processes that use one PostgreSQL database."""

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self._engine = sqlalchemy.create_engine(
            url, poolclass=sqlalchemy.NullPool, pool_reset_on_return=None, connect_args=KEPT_ALIVE
        )
        self._patience = patience or Patience()

    @contextmanager
    def holding(self, name: str) -> Iterator[sqlalchemy.Connection]:
        with self._engine.connect() as connection:  # the lock is free again when the connection is closed
            # `pg_advisory_lock` would wait in the server, where no signal to this process ends it.
            self._patience.until(lambda: _take_advisory(connection, name), SERVER_POLL_SECONDS)
            sqlalchemy.event.listen(connection, "begin", _refuse_another_session)
            yield connection

    def keep(self, name: str) -> Closing:
        lock = _KeptLock(self._engine, name)
        self._patience.until(lock.take, SERVER_POLL_SECONDS)
        lock.start()
        return lock

    def is_free(self, name: str) -> bool:
        with self._engine.connect() as connection:
            return _is_free(connection, name)

    def abandoned(self, names: Collection[str]) -> set[str]:
        if not names:
            return set()
        end = time.monotonic() + GRACE_SECONDS
        free = set(names)
        with self._engine.connect() as connection:
            while free := {name for name in free if _is_free(connection, name)}:
                if time.monotonic() > end:
                    break
                time.sleep(KEEP_SECONDS / 2)
        return free

    def forget(self, name: str) -> None:
        """Does nothing: nothing is left of an advisory lock."""


class _KeptLock:
    """An advisory lock that a thread takes again when its session has ended, as at a restart of the server.

    Other processes see it free for a moment. They wait for GRACE_SECONDS before they take its holder for dead.
    """

    def __init__(self, engine: sqlalchemy.Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._connection: sqlalchemy.Connection | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def take(self) -> bool | None:
        """Takes the lock unless this object holds it; returns None while another session holds it."""
        connection = self._connection or self._engine.connect()
        try:
            if connection is self._connection:
                connection.execute(sqlalchemy.text("select 1"))
                connection.commit()
                return True
            taken = _take_advisory(connection, self._name)
        except BaseException:
            self._drop(connection)
            raise
        if taken is None:
            self._drop(connection)
        else:
            self._connection = connection
        return taken

    def start(self) -> None:
        """Keeps the lock from now on."""
        self._thread.start()

    def close(self) -> None:
        """Frees the lock. A server that does not answer frees it when it notices that the connection has ended."""
        self._closed.set()
        self._thread.join(CLOSE_SECONDS)

    def _keep(self) -> None:
        while not self._closed.wait(KEEP_SECONDS):
            for _ in range(2):  # a look that fails is followed by an attempt to take the lock at once
                with contextlib.suppress(SQLAlchemyError):
                    self.take()
                    break
        if self._connection is not None:
            self._drop(self._connection)

    def _drop(self, connection: sqlalchemy.Connection) -> None:
        self._connection = None
        with contextlib.suppress(SQLAlchemyError):
            connection.invalidate()  # a session that has ended cannot be closed in an orderly way
            connection.close()


def _take(lock: FileLock) -> bool | None:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return True


def _take_advisory(connection: sqlalchemy.Connection, name: str) -> bool | None:
    taken = bool(connection.execute(TAKE, {"key": _key(name)}).scalar_one())
    connection.commit()  # the lock belongs to the session, not to this transaction
    return taken or None


def _is_free(connection: sqlalchemy.Connection, name: str) -> bool:
    key = _key(name) % 2**64
    held = connection.execute(IS_HELD, {"high": key >> 32, "low": key % 2**32}).scalar_one()
    connection.rollback()
    return not held


def _refuse_another_session(connection: sqlalchemy.Connection) -> None:
    """Raises LockLost where SQLAlchemy would replace a session that has ended by one that does not hold the lock."""
    if connection.invalidated:
        raise LockLost("the session that held the lock has ended")


def _key(name: str) -> int:
    """Returns the name as PostgreSQL's key of an advisory lock, a signed integer of 64 bits."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
