"""Tracking stores: checked before anything slow starts, and created where they do not exist."""

import contextlib
import http.client
import logging
import os
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow
import sqlalchemy
from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import read_mlflow_creds
from sqlalchemy.exc import SQLAlchemyError

from src.databases import (
    CONNECT_SECONDS,
    check_owner,
    check_port,
    ensure_tables,
    make_writable,
    tables,
)
from src.errors import StoreError, first_line
from src.links import VARIABLE, mlflow_command
from src.places import is_writable, resolve_address, sqlite_file, store_folder
from src.process.interrupt import deferred
from src.schema import TrackingConfig
from src.tracking.abandoned import end_abandoned_runs
from src.tracking.outage import Outages, PatientClient
from src.tracking.probes import health_address, status_of
from src.tracking.undelivered import UNDELIVERED
from src.tracking.view import TAG, experiment_tags, renewed_view

ARTIFACTS = "mlartifacts"  # the folder next to the database
SETTING = "tracking.uri"
OWN_TABLES = {"experiments", "runs"}
_FULL = "database or disk is full"  # in SQLite's message
FIRST_TABLES = {*OWN_TABLES, "metrics", "params", "tags"}  # MLflow creates these before all others

for logger in ("mlflow", "alembic"):  # a new store logs each of its migrations
    logging.getLogger(logger).setLevel(logging.WARNING)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it logs each attempt; the last error is raised
# A database error is logged with its trace before it is raised.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: record.exc_info is None)


class Store(NamedTuple):
    """A store that works, and the id of the experiment in it; the client is None when tracking is off."""

    client: mlflow.MlflowClient | None
    experiment_id: str

    def stop_waiting_if(self, is_stopping: Callable[[], bool]) -> None:
        """Wait no longer for a store that does not answer once this function returns True."""
        if isinstance(self.client, PatientClient):
            self.client.outages.is_stopping = is_stopping

    def watching(self) -> contextlib.AbstractContextManager[None]:
        """Announce outages inside the block for the workers of a sweep, which print nothing."""
        if not isinstance(self.client, PatientClient):
            return contextlib.nullcontext()
        uri = self.client.outages.uri
        return self.client.outages.watching(str(store_folder(uri) / UNDELIVERED))


def open_store(config: TrackingConfig, say: Callable[[str], None] | None = None, is_worker: bool = False) -> Store:
    """Return the store that the config names; the store and the experiment are created if they do not exist.

    Runs that a killed process of this machine has left RUNNING there become KILLED.

    Args:
        config: names the store.
        say: prints a line in the terminal. With it, calls on the open store wait when the store does not answer for a
            while; without it, they raise an error after seconds.
        is_worker: whether other processes use the store already, so that it is waited for here too.

    Raises:
        StoreError: the store cannot be reached or written, or the address is not the address of a store.
    """
    if not config.enabled:
        return Store(None, "")
    if say is None:
        return _open_store(config)
    outages = Outages(config.uri, say)
    client, experiment_id = outages.call(lambda: _open_store(config)) if is_worker else _open_store(config, say)
    return Store(PatientClient(client, outages), experiment_id)


def _open_store(config: TrackingConfig, say: Callable[[str], None] | None = None) -> Store:
    with explain_unusable_store(config.uri):
        location = prepare_store(config.uri, "start it, correct tracking.uri, or train without tracking: tracking=off")
        client = client_of(config.uri)
        experiment_id = _experiment_id(client, config.experiment, location)
    end_abandoned_runs(client, experiment_id, say)
    return Store(client, experiment_id)


def artifact_root(config: TrackingConfig) -> str | None:
    """Return the folder for artifacts of new experiments, next to the database; None when a server decides."""
    with explain_unusable_store(config.uri):
        return prepare_store(config.uri)


def client_of(uri: str) -> mlflow.MlflowClient:
    """Return MLflow's client of a store that `prepare_store` has checked: MLflow waits minutes for an absent server."""
    # MLflow keeps connections by address, so a relative one would lead into the folder that the process was in before.
    address, before = resolve_address(uri, Path.cwd()), os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(address)
    # MLflow sets the variable too, but `src.links` has to see the value of the user's terminal.
    if before is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = before
    return mlflow.MlflowClient(address)


def existing_client(uri: str) -> mlflow.MlflowClient:
    """Return MLflow's client of a store that exists. Nothing in the store is changed.

    Raises:
        StoreError: the store does not exist, cannot be reached or written, or is not one.
    """
    with explain_unusable_store(uri):
        check_exists(uri)
        prepare_store(uri)
        return client_of(uri)


def reading_client(uri: str) -> mlflow.MlflowClient:
    """Return MLflow's client of a store that exists, also of a SQLite file that can only be read.

    Raises:
        StoreError: the store cannot be reached, or is not one.
    """
    file = sqlite_file(uri)
    if file is None or is_writable(file):
        prepare_store(uri)
    else:
        check_owner(uri, SETTING, "MLflow", OWN_TABLES)
    return client_of(uri)


@contextlib.contextmanager
def explain_unusable_store(uri: str) -> Iterator[None]:
    """Turn the errors of a store that cannot be opened inside the block into a StoreError."""
    try:
        yield
    except StoreError:
        raise
    except (MlflowException, SQLAlchemyError, ImportError, ValueError) as error:
        raise StoreError(_store_problem(uri, error)) from error


def _store_problem(uri: str, error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{uri} needs a driver that is not installed ({error}); for PostgreSQL: pip install 'psycopg[binary]'"
    return explain_refusal(uri, error) or f"the tracking store {uri} cannot be used: {first_line(error)}"


def explain_refusal(uri: str, error: Exception) -> str | None:
    """Return a message with what to do, for a store that refuses or fails a request; None for other errors."""
    status = status_of(error)
    if status == 401:
        found = read_mlflow_creds()
        has_user = found.username or found.password or "@" in uri or "MLFLOW_TRACKING_TOKEN" in os.environ
        problem = "does not know this user and password: correct" if has_user else "asks for a user: set"
        return f"the tracking server {uri} {problem} MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if status == 403:
        host = urllib.parse.urlsplit(uri).netloc.rpartition("@")[2]
        return (
            f"the tracking server {uri} does not allow this (403): ask its administrator for permission, "
            f"or to add {host} to its --allowed-hosts"
        )
    if status is not None and status >= 500:
        return f"the tracking server {uri} failed ({status}): see the reason in its log"
    return _disk_problem(uri, error)


def _disk_problem(uri: str, error: Exception) -> str | None:
    """Return a message with what to do, for a disk that SQLite cannot write to; None for other errors."""
    states = {
        _FULL: "the disk is full; free some space",
        "attempt to write a readonly database": "the disk or the file is read-only; make it writable",
        "unable to open database file": "its folder is gone or read-only; make it writable",
        "disk I/O error": "the disk reports an error; check the disk and its quota",
    }
    file = sqlite_file(uri)
    for sign, state in states.items():
        if file is not None and sign in str(error):
            return f"{file.absolute()} cannot be written: {state}, or set {SETTING} to another place"
    return None


def is_disk_full(uri: str, error: Exception) -> bool:
    """Return True if SQLite cannot write because the disk is full, which then has no space for other files either."""
    return sqlite_file(uri) is not None and _FULL in str(error)


def prepare_store(uri: str, remedy: str = "start it, or correct tracking.uri") -> str | None:
    """Check that the address leads to a store, and return the folder of its artifacts, None when a server decides.

    Args:
        uri: the address.
        remedy: what to do if a server does not answer.

    Raises:
        StoreError: it does not.
    """
    uri = uri.strip()
    scheme = uri.partition(":")[0].lower() if ":" in uri else ""
    if scheme in ("http", "https"):
        _check_server(uri, remedy)
        return None
    if scheme in ("", "file"):
        raise StoreError(
            f"tracking.uri={uri}: MLflow no longer stores runs in a folder; "
            "use a database, sqlite:///mlflow.db, or a server, http://127.0.0.1:5000"
        )
    if scheme.partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql"):
        return _check_database(uri)
    return None


def _check_server(uri: str, remedy: str) -> None:
    try:
        with urllib.request.urlopen(health_address(uri), timeout=CONNECT_SECONDS) as response:
            answer = response.read(64)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return  # a proxy that requires a login, which MLflow's client sends
        if problem := explain_refusal(uri, error):
            raise StoreError(problem) from error
        answer = b""
    except (OSError, ValueError) as error:  # URLError and RemoteDisconnected are OSErrors
        raise StoreError(
            f"the tracking server {uri} does not answer ({getattr(error, 'reason', None) or error}); {remedy}"
        ) from error
    except http.client.HTTPException:
        answer = b""
    if answer.strip() != b"OK":
        raise StoreError(f"{uri} answers, but is not an MLflow server; {remedy}")


def _check_database(uri: str) -> str:
    url = sqlalchemy.make_url(uri)
    if url.get_backend_name() == "sqlite":
        if (database := sqlite_file(uri)) is None:
            raise StoreError(
                f"tracking.uri={uri} is a database in memory, which ends with the process; name a file: sqlite:///mlflow.db"
            )
        folder = _check_sqlite(uri, database.absolute())
    else:
        check_port(uri, SETTING)
        folder = Path.cwd()
        check_owner(uri, SETTING, "MLflow", OWN_TABLES)
    artifacts = folder / ARTIFACTS
    make_writable(artifacts, SETTING)
    return artifacts.as_uri()


def _check_sqlite(uri: str, database: Path) -> Path:
    """Return the folder of the database, which is created if it does not exist.

    Waits while another process, such as `mlflow server`, is creating it. Two processes that create the tables at the
    same time damage them, and a store with incomplete tables can never be opened again.
    """
    file = database.resolve()  # the target of a link may not exist yet
    make_writable(file.parent, SETTING)
    with FileLock(file.with_name(f".{file.name}.lock")):
        is_complete = ensure_tables(file, FIRST_TABLES, _has_experiment, _make_tables)
    if not is_complete:
        _check_incomplete(uri, database)
    return database.parent


def _make_tables(address: str) -> None:
    with deferred():
        mlflow.MlflowClient(address).search_experiments(max_results=1)


def _has_experiment(connection: sqlite3.Connection) -> bool:
    """Return True once MLflow has created its tables: then it adds its default experiment."""
    connection.execute("select 1 from runs limit 1")
    return connection.execute("select 1 from experiments limit 1").fetchone() is not None


def _check_incomplete(uri: str, database: Path) -> None:
    """Raise StoreError for a database that is not MLflow's, or whose tables are incomplete."""
    incomplete = (
        f"{SETTING}={uri} is incomplete: the process that created it was stopped. It has no runs; remove {database}"
    )
    if tables(uri, SETTING) <= FIRST_TABLES | {"alembic_version"}:
        raise StoreError(incomplete)
    check_owner(uri, SETTING, "MLflow", OWN_TABLES)
    try:
        client_of(uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        raise StoreError(incomplete) from error


def _experiment_id(client: mlflow.MlflowClient, name: str, location: str | None) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name, artifact_location=location, tags=experiment_tags())
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return _experiment_id(client, name, location)  # another process has created it
    if experiment.lifecycle_stage != "active":
        restore = mlflow_command(client.tracking_uri, "experiments", "restore", "-x", experiment.experiment_id)
        raise StoreError(
            f"the experiment {name!r} was deleted; restore it with `{restore}`, "
            "or choose another: tracking.experiment=NAME"
        )
    if view := renewed_view(experiment.tags):
        client.set_experiment_tag(experiment.experiment_id, TAG, view)
    return experiment.experiment_id


def check_exists(uri: str) -> None:
    """Raise StoreError if the address is that of a SQLite file that does not exist."""
    if (database := sqlite_file(uri)) is not None and not database.exists():
        raise StoreError(f"the tracking store {uri} does not exist; set tracking.uri to the store with the run")
