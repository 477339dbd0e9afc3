"""Check databases by their addresses, and create SQLite files."""

import contextlib
import os
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from src.errors import StoreError, first_line
from src.places import resolve_address, sqlite_address

CONNECT_SECONDS = 5
IDLE_SECONDS = 10  # no process fills a file that has not changed for this long
EMPTY_SECONDS = 5  # the same for an empty file: its creator fills it at once, on a busy machine within seconds
MAX_WAIT_SECONDS = 120  # MLflow takes seconds to create its tables, on a slow disk a minute
ATTEMPTS = 3  # to create a file; the second one finds what another process has created meanwhile
JOURNALS = ("-wal", "-shm", "-journal")  # the endings of SQLite's own files next to a database
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def make_writable(folder: Path, setting: str) -> None:
    """Create the folder if it does not exist, and check that it can be written.

    Args:
        folder: the folder.
        setting: the key to change, for the error message.

    Raises:
        StoreError: it cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StoreError(f"cannot write into {folder} ({error.strerror}); set {setting} to a writable place") from error


def check_port(uri: str, setting: str) -> None:
    """Raise StoreError within seconds unless a server listens at the address."""
    url = sqlalchemy.make_url(uri)
    try:
        address = (url.host or "localhost", url.port or PORTS[url.get_backend_name()])
        socket.create_connection(address, CONNECT_SECONDS).close()
    except OSError as error:
        raise StoreError(f"the database {uri} does not answer ({error}); start it, or correct {setting}") from error


def tables(uri: str, setting: str) -> set[str]:
    """Return the names of the tables in the database; a SQLite file that does not exist yet has none.

    Raises:
        StoreError: it cannot be opened, or is not a database.
    """
    waits = {"connect_timeout": CONNECT_SECONDS} if uri.startswith(("postgresql", "mysql")) else {}
    engine = sqlalchemy.create_engine(resolve_address(uri), connect_args=waits)
    try:
        return set(sqlalchemy.inspect(engine).get_table_names())
    except SQLAlchemyError as error:
        reason = first_line(getattr(error, "orig", error))
        remedy = "; another program is writing it: try again when that has ended" if "locked" in reason else ""
        raise StoreError(f"{setting}={uri} cannot be opened as a database: {reason}{remedy}") from error
    finally:
        engine.dispose()


def check_owner(uri: str, setting: str, product: str, own_tables: set[str]) -> None:
    """Raise StoreError if the database has tables, but not those of the product."""
    found = tables(uri, setting)
    if found and not own_tables <= found:
        some = ", ".join(sorted(found)[:3])
        raise StoreError(
            f"{setting}={uri} is the database of another program (it contains {some}); give {product} its own database"
        )


def ensure_tables(
    database: Path,
    own_tables: set[str],
    has_all: Callable[[sqlite3.Connection], bool],
    make: Callable[[str], object],
) -> bool:
    """Create a SQLite file or its tables if they do not exist, and return True if the file is complete afterwards.

    A file with other tables is left alone. A file that another process is filling is never replaced: this function
    waits for it. A new file is created under another name and gets its name when it is complete. A file without tables
    that no process fills is filled in one transaction.

    Args:
        database: the file.
        own_tables: some tables that are created early; a file with only other tables is not waited for.
        has_all: returns True if all tables exist; it may raise SQLite's error for a missing table.
        make: creates the tables in the database at an address.

    Raises:
        StoreError: the file cannot be written.
    """
    for _ in range(ATTEMPTS):
        found = _wait_for_tables(database, own_tables, has_all)
        if found is not None:
            return found
        is_new = not database.exists()
        new = database.with_name(f".{database.name}.new")
        _remove(new, *_journals(new))
        try:
            with _without_syncing(new):
                make(sqlite_address(new))
            if is_new:
                _sync(new)
                _remove(*_journals(database))  # of a removed file: SQLite would apply them to the new one
                _publish(new, database)
            else:
                _fill(new, database)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{database} cannot be written: {error}") from error
        finally:
            _remove(new, *_journals(new))
    return False


def _wait_for_tables(
    database: Path, own_tables: set[str], has_all: Callable[[sqlite3.Connection], bool]
) -> bool | None:
    """Wait until no process fills the file; return whether it is complete, None if it may be created or filled."""
    unchanged_since, seen, end = time.monotonic(), _last_change(database), time.monotonic() + MAX_WAIT_SECONDS
    while True:
        if seen is None:
            return None
        found = _inspect(database, own_tables, has_all)
        if found.is_settled:
            return found.has_all
        change, now = _last_change(database), time.monotonic()
        if change != seen:
            unchanged_since, seen = now, change
        elif now > end or max(time.time() - seen, now - unchanged_since) > found.idle_seconds:
            return None if found.is_empty else False
        time.sleep(0.1)


class _State(NamedTuple):
    """The state of a database file."""

    has_all: bool = False
    is_settled: bool = False  # waiting longer changes nothing
    is_empty: bool = False

    @property
    def idle_seconds(self) -> float:
        return EMPTY_SECONDS if self.is_empty else IDLE_SECONDS


def _inspect(database: Path, own_tables: set[str], has_all: Callable[[sqlite3.Connection], bool]) -> _State:
    try:
        with contextlib.closing(_connect(database)) as connection:
            found = _tables(connection)
            if found - {"alembic_version"} and not found & own_tables:
                return _State(is_settled=True)
            if not found:
                return _State(is_empty=True)
            is_complete = has_all(connection)
            return _State(is_complete, is_settled=is_complete)
    except sqlite3.OperationalError:  # no such table, or locked by the process that creates them
        return _State(is_settled=not database.is_file())
    except sqlite3.DatabaseError:  # not a database
        return _State(is_settled=True)


@contextlib.contextmanager
def _without_syncing(database: Path) -> Iterator[None]:
    """Let connections that are made in the block write a SQLite file without waiting for the disk.

    Nobody reads the file before it is complete. MLflow's migrations would wait for the disk more than a hundred times.
    """

    def switch_off(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            files = [file for _, name, file in connection.execute("pragma database_list") if name == "main"]
            if files == [str(database.resolve())]:
                connection.executescript("pragma synchronous = off; pragma journal_mode = memory")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", switch_off)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", switch_off)


def _sync(file: Path) -> None:
    """Wait until the content of a file is on the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(new: Path, database: Path) -> None:
    try:
        os.link(new, database)
    except FileExistsError:
        pass  # another process has created it
    except OSError:  # a file system without hard links
        with contextlib.suppress(FileExistsError):
            database.touch(exist_ok=False)
            _fill(new, database)


def _fill(new: Path, database: Path) -> None:
    """Copy a database into one without tables, unless another process has created some meanwhile."""
    with contextlib.closing(sqlite3.connect(new)) as source, contextlib.closing(sqlite3.connect(database)) as target:
        if not _tables(target):
            source.backup(target)


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}


def _journals(database: Path) -> list[Path]:
    return [database.with_name(database.name + ending) for ending in JOURNALS]


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _last_change(database: Path) -> float | None:
    """Return the time at which the file or one of its journals was last written, None when there is no file."""
    times = []
    for file in (database, *_journals(database)):
        with contextlib.suppress(OSError):
            times.append(file.stat().st_mtime)
    return max(times) if database.exists() else None


def _connect(database: Path) -> sqlite3.Connection:
    """Return a connection to a file that exists."""
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", timeout=1, uri=True)
