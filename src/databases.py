"""Databases by their address: whether they can be reached, and whose they are."""

import socket
import tempfile
from pathlib import Path

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from src.errors import StoreError
from src.places import resolve_address

CONNECT_SECONDS = 5
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def make_writable(folder: Path, setting: str) -> None:
    """The folder exists and can be written; `setting` is what to change otherwise.

    Raises:
        StoreError: it cannot be made, or not be written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StoreError(f"cannot write into {folder} ({error.strerror}); set {setting} to a writable place") from error


def check_port(uri: str, setting: str) -> None:
    """Raises StoreError unless something listens where the address leads; answers within seconds."""
    url = sqlalchemy.make_url(uri)
    try:
        address = (url.host or "localhost", url.port or PORTS[url.get_backend_name()])
        socket.create_connection(address, CONNECT_SECONDS).close()
    except OSError as error:
        raise StoreError(f"the database {uri} does not answer ({error}); start it, or correct {setting}") from error


def tables(uri: str, setting: str) -> set[str]:
    """The names of the tables in the database; a SQLite file that does not exist yet has none.

    Raises:
        StoreError: it cannot be opened, or is no database.
    """
    waits = {"connect_timeout": CONNECT_SECONDS} if uri.startswith(("postgresql", "mysql")) else {}
    engine = sqlalchemy.create_engine(resolve_address(uri), connect_args=waits)
    try:
        return set(sqlalchemy.inspect(engine).get_table_names())
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise StoreError(f"{setting}={uri} is not a database that can be opened: {reason}") from error
    finally:
        engine.dispose()


def check_owner(uri: str, setting: str, product: str, own_tables: set[str]) -> None:
    """Raises StoreError when the database holds tables, and not those of the product."""
    found = tables(uri, setting)
    if found and not own_tables <= found:
        some = ", ".join(sorted(found)[:3])
        raise StoreError(
            f"{setting}={uri} is the database of something else (it holds {some}); give {product} a database of its own"
        )
