"""Probes: which errors mean that a store does not answer, and whether it answers now."""

import socket
import sqlite3

import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from sqlalchemy.exc import OperationalError, ProgrammingError

from src.errors import StoreError
from src.tracking import probes
from src.tracking.outage import single_attempts
from src.tracking.probes import answers, is_outage
from tests.support.outages import locked, refused
from tests.support.servers import free_port
from tests.support.workplace import Workplace
from tests.tracking.test_answers import answering


def answered(status: int) -> requests.HTTPError:
    answer = requests.Response()
    answer.status_code = status
    return requests.HTTPError("refused", response=answer)


def from_database(reason: Exception) -> MlflowException:
    """The error of MLflow's own SQL store."""
    error = MlflowException("the statement")
    error.__cause__ = OperationalError("select 1", {}, reason)
    return error


@pytest.mark.parametrize(
    "error",
    [
        refused(),
        requests.Timeout(),
        ConnectionResetError(),
        TimeoutError(),
        MlflowException("API request failed with exception: too many 503 error responses"),
        MlflowException("API request to endpoint x failed with error code 502 != 200"),
        RestException({"error_code": "INTERNAL_ERROR", "message": "the database is gone"}),
        RestException({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow down"}),
        answered(429),
        answered(500),
        from_database(sqlite3.OperationalError("database is locked")),
        from_database(Exception("server closed the connection unexpectedly")),
        from_database(Exception("the database system is starting up")),
    ],
)
def test_a_store_that_does_not_answer_is_an_outage(error: Exception):
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        StoreError("no"),
        RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no such name"}),
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no run"}),
        RestException({"error_code": "PERMISSION_DENIED", "message": "no"}),
        answered(401),
        answered(403),
        answered(404),
        from_database(sqlite3.OperationalError("database or disk is full")),
        from_database(sqlite3.OperationalError("attempt to write a readonly database")),
        from_database(Exception('password authentication failed for user "ada"')),
        ProgrammingError("select 1", {}, Exception("no such column")),
    ],
)
def test_a_store_that_refuses_is_not_an_outage(error: Exception):
    assert not is_outage(error)


def test_mlflows_client_without_a_server_reports_an_outage():
    with single_attempts(), pytest.raises(MlflowException) as caught:
        MlflowClient(f"http://127.0.0.1:{free_port()}").get_run("0")
    assert is_outage(caught.value)


@pytest.mark.parametrize(("status", "expected"), [(200, True), (401, True), (404, True), (429, False), (503, False)])
def test_a_probe_says_whether_a_server_answers(status: int, expected: bool):
    with answering(status, healthy=False) as uri:
        assert answers(uri) is expected


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_nothing_answers_at_a_closed_port(scheme: str):
    assert not answers(f"{scheme}://127.0.0.1:{free_port()}/x")


def test_a_server_that_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probes, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not answers(f"http://127.0.0.1:{server.getsockname()[1]}")


def test_a_locked_file_does_not_answer(workplace: Workplace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probes, "PROBE_SECONDS", 0.1)
    database = workplace.folder / "mlflow.db"
    sqlite3.connect(database).close()
    assert answers(workplace.uri)
    with locked(database):
        assert not answers(workplace.uri)
    assert answers(workplace.uri)
