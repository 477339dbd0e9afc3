"""The database of Optuna's studies, checked before anything slow begins."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from src.databases import check_owner, check_port, ensure_tables, make_writable
from src.errors import StoreError
from src.places import resolve_address, sqlite_file
from src.redact import hide_password
from src.study.locks import KEPT_ALIVE, FileLocks, Locks, PostgresLocks
from src.study.patience import NoAnswer, Patience, is_temporary, reason_of

SETTING = "hydra.sweeper.storage"
OWN_TABLES = {"studies", "trials"}
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
BUSY_SECONDS = 60  # how long a process that opens a SQLite file waits for another one's write
BUSY_MILLISECONDS = 5_000  # how long each later attempt waits, deaf to signals; `Patience` repeats it

optuna.logging.set_verbosity(optuna.logging.WARNING)
# What they log of a session that has ended is raised as an error too.
for noisy in ("optuna.storages._rdb.storage", "sqlalchemy.pool"):
    logging.getLogger(noisy).setLevel(logging.CRITICAL)


class Storage(NamedTuple):
    """Optuna's storage, its locks, and how long this process waits for both."""

    optuna: RDBStorage
    locks: Locks
    patience: Patience

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Waits for the lock, then holds it as long as the block lasts.

        On a server the block writes over the connection that holds the lock. So if the lock is lost, nothing more is
        written, and the block raises an error that `Patience` takes for an outage.
        """
        with self.locks.holding(name) as connection:
            if connection is None:
                yield
                return
            self.optuna.remove_session()
            self.optuna.scoped_session(bind=connection)  # this thread's session from now on
            try:
                yield
            finally:
                self.optuna.remove_session()

    def close(self) -> None:
        """Closes the connections; SQLite then writes its write-ahead file into the database."""
        self.optuna.remove_session()
        self.optuna.engine.dispose()


def open_storage(url: str, tracking_uri: str, patience: Patience | None = None) -> Storage:
    """Return the storage at the address, created if it does not exist.

    Args:
        url: `sqlite:///FILE` or `postgresql://...`.
        tracking_uri: MLflow's address, which must be another database: both have a table `alembic_version`.
        patience: how long this process will wait for the storage once it is open.

    Raises:
        NoAnswer: a database that cannot be reached.
        StoreError: a wrong address, or a database that belongs to another program.
    """
    parsed = _parse(url)
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(
            f"{SETTING}={url}: a sweep needs locks that {backend or 'it'} does not have; "
            "use sqlite:///optuna.db, or postgresql://USER@HOST/DATABASE for several machines"
        )
    if parsed.drivername not in DRIVERS:
        raise StoreError(f"{SETTING}={url}: {parsed.drivername} is not supported; remove what follows the plus sign")
    if _same_database(parsed, tracking_uri):
        raise StoreError(
            f"{SETTING}={url} is MLflow's database; Optuna needs one of its own, such as sqlite:///optuna.db"
        )
    patience = patience or Patience(url)
    with _outages_distinguished(url):
        return _open_sqlite(parsed, url.strip(), patience) if backend == "sqlite" else _open_postgres(parsed, patience)


def open_existing(url: str) -> Storage:
    """Return the storage at the address.

    Raises:
        StoreError: there is none.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite" and not _file_of(parsed).exists():
        raise StoreError(f"there is no storage {url}; name the one of the sweep: --storage sqlite:///optuna.db")
    return open_storage(url, "")


def _parse(url: str) -> sqlalchemy.URL:
    hide_password(url)
    try:
        return sqlalchemy.make_url(resolve_address(url))
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{SETTING}={url} is not the address of a database; use sqlite:///optuna.db") from error


def _file_of(url: sqlalchemy.URL) -> Path:
    """Return the file with all links followed, so that every path to one file leads to the same locks."""
    return Path(url.database or "").resolve()


def _same_database(url: sqlalchemy.URL, tracking_uri: str) -> bool:
    try:
        other = sqlalchemy.make_url(resolve_address(tracking_uri))
    except ArgumentError:
        return False
    if other.get_backend_name() != url.get_backend_name():
        return False
    if url.get_backend_name() == "sqlite":
        return _file_of(url) == _file_of(other)
    return (url.host, url.port or 5432, url.database) == (other.host, other.port or 5432, other.database)


def _open_sqlite(url: sqlalchemy.URL, address: str, patience: Patience) -> Storage:
    if sqlite_file(address) is None:
        raise StoreError(
            f"{SETTING}={address} is a database in memory, which ends with the process; name a file: sqlite:///optuna.db"
        )
    database = _file_of(url)
    make_writable(database.parent, SETTING)
    with FileLock(database.with_name(f".{database.name}.lock")):
        ensure_tables(database, OWN_TABLES, _has_version, _make_tables)
        check_owner(address, SETTING, "Optuna", OWN_TABLES)
        storage = _storage(url, {"timeout": BUSY_SECONDS})
        sqlalchemy.event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()  # the connections that were made without it
    return Storage(storage, FileLocks(database.with_name(f".{database.name}.locks"), patience), patience)


def _make_tables(address: str) -> None:
    _storage(sqlalchemy.make_url(address), {}).engine.dispose()


def _has_version(connection: sqlite3.Connection) -> bool:
    """Return whether Optuna has made its tables: it stores their version when it has."""
    return connection.execute("select 1 from alembic_version, version_info limit 1").fetchone() is not None


def _write_ahead(connection: Any, record: object) -> None:
    """Lets SQLite wait for the disk less often.

    A killed process loses nothing. A machine that loses its power may lose the last trials, which are then tried again,
    but never the file.
    """
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute(f"pragma busy_timeout = {BUSY_MILLISECONDS}")


def _open_postgres(url: sqlalchemy.URL, patience: Patience) -> Storage:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    address = url.render_as_string(hide_password=False)
    check_port(address, SETTING)
    try:
        check_owner(address, SETTING, "Optuna", OWN_TABLES)
        locks = PostgresLocks(address, patience)
        with locks.holding("convlab: make the tables"):
            return Storage(_storage(url, KEPT_ALIVE), locks, patience)
    except ImportError as error:
        raise StoreError(f"{SETTING}={address} needs a driver: pip install 'psycopg[binary]'") from error


def _storage(url: sqlalchemy.URL, connect_args: dict[str, object]) -> RDBStorage:
    address = url.render_as_string(hide_password=False)
    try:
        return RDBStorage(address, engine_kwargs={"connect_args": connect_args, "pool_pre_ping": True})
    except (SQLAlchemyError, StorageInternalError, RuntimeError, ValueError) as error:
        raise StoreError(f"{SETTING}={address} cannot be used: {reason_of(error)}") from error


@contextmanager
def _outages_distinguished(url: str) -> Iterator[None]:
    """Turns the error of a database that does not answer now, but may later, into NoAnswer."""
    try:
        yield
    except StoreError as error:
        if isinstance(error.__cause__, OSError) or (error.__cause__ is not None and is_temporary(error.__cause__)):
            raise NoAnswer(str(error)) from error
        raise
    except SQLAlchemyError as error:
        kind = NoAnswer if is_temporary(error) else StoreError
        raise kind(f"{SETTING}={url} cannot be used: {reason_of(error)}") from error
