"""Probes: does a tracking store answer, and does an error mean that it does not answer now?"""

from __future__ import annotations

import contextlib
import http.client
import re
import sqlite3
import urllib.error
import urllib.parse
import urllib.request

import requests
import sqlalchemy
from mlflow.exceptions import RestException
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from src.places import resolve_address, sqlite_file

PROBE_SECONDS = 3  # that a store may take to answer a probe
GONE = "RESOURCE_DOES_NOT_EXIST"  # MLflow's error code for what does not exist

_REFUSED = ("authentication failed", "permission denied", "does not exist", "no pg_hba.conf entry")
_DISCONNECTED = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    http.client.HTTPException,
    urllib.error.URLError,
    ConnectionError,
    TimeoutError,
    sqlalchemy.exc.TimeoutError,
)


def is_outage(error: BaseException) -> bool:
    """Return True if a call failed because the store does not answer now, False if it answered and refused."""
    one: BaseException | None = error
    while one is not None:
        if (status := status_of(one)) is not None:
            return status == 429 or status >= 500
        if isinstance(one, OperationalError | InterfaceError):
            return _is_unavailable(one)
        if isinstance(one, _DISCONNECTED):
            return True
        one = one.__cause__ or one.__context__  # MLflow's own exceptions say nothing about their reason
    return False


def _is_unavailable(error: OperationalError | InterfaceError) -> bool:
    """Return True for a locked SQLite file, and for a database server that went away; False for one that refuses."""
    if isinstance(error.orig, sqlite3.Error):
        return "locked" in str(error.orig)  # the others are about the disk, which waiting does not change
    return not any(sign in str(error.orig) for sign in _REFUSED)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of a server's answer, None for errors that have none."""
    if isinstance(error, requests.RequestException):
        return None if error.response is None else int(error.response.status_code)
    if isinstance(error, urllib.error.HTTPError):
        return error.code
    if found := re.search(r"error code (\d{3})|too many (\d{3}) error responses", str(error)):
        return int(found[1] or found[2])
    return int(error.get_http_status_code()) if isinstance(error, RestException) else None


def answers(uri: str) -> bool:
    """Return within seconds whether the store at this address answers; True if only a real call can show it."""
    if uri.strip().lower().startswith(("http:", "https:")):
        return _server_answers(uri)
    if (file := sqlite_file(uri)) is not None:
        with contextlib.suppress(sqlite3.Error):  # a missing file is reported by the call
            connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", timeout=PROBE_SECONDS, uri=True)
            with contextlib.closing(connection):
                try:
                    connection.execute("begin immediate")
                except sqlite3.OperationalError as error:
                    return "locked" not in str(error)
        return True
    return _database_answers(uri)


def _server_answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(health_address(uri), timeout=PROBE_SECONDS):
            return True
    except (OSError, http.client.HTTPException, ValueError) as error:
        return (status_of(error) or 500) < 500 and status_of(error) != 429  # such as 401 of a server with users


def health_address(uri: str) -> str:
    """Return the address at which a server says whether it works, without the user and password."""
    parts = urllib.parse.urlsplit(uri.strip())
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/") + "/health"


def _database_answers(uri: str) -> bool:
    waits = {"connect_timeout": PROBE_SECONDS} if uri.startswith(("postgresql", "mysql")) else {}
    engine = sqlalchemy.create_engine(resolve_address(uri), connect_args=waits, poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect():
            return True
    except (OperationalError, InterfaceError) as error:
        return not _is_unavailable(error)
    except SQLAlchemyError:
        return True
