"""Outages: which errors are one, and waiting until a store answers again."""

import os
import signal
import socket
import sqlite3
import threading

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from sqlalchemy.exc import OperationalError, ProgrammingError

from src.errors import StoreError
from src.process.interrupt import Interrupted, deferred, raise_on_signals
from src.tracking import origin_tags, outage
from src.tracking.outage import RETRIES, Patience, PatientClient, answers, is_outage, single_attempts
from tests.support.outages import UnreliableClient, locked, refused
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
    monkeypatch.setattr(outage, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not answers(f"http://127.0.0.1:{server.getsockname()[1]}")


def test_a_locked_file_does_not_answer(workplace: Workplace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outage, "PROBE_SECONDS", 0.1)
    database = workplace.folder / "mlflow.db"
    sqlite3.connect(database).close()
    assert answers(workplace.uri)
    with locked(database):
        assert not answers(workplace.uri)
    assert answers(workplace.uri)


# --- waiting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def patience(workplace: Workplace, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Patience:
    monkeypatch.setattr(outage, "PAUSES", (0.01,))
    monkeypatch.setattr(outage, "TICK", 0.01)
    monkeypatch.setattr(outage, "QUIET_SECONDS", 0)
    monkeypatch.setattr(outage, "PROBE_SECONDS", 0.1)
    return Patience(workplace.uri, said.append)


class Failing:
    """A call that fails this many times."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or refused()
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "recorded"


def test_a_call_is_repeated_until_the_store_answers_and_both_are_said_once(patience: Patience, said: list[str]):
    call = Failing(5)
    assert patience.call(call) == "recorded"
    assert call.calls == 6
    assert len(said) == 2
    assert " has not answered since " in said[0]
    assert "waiting up to 5 minutes for it" in said[0]
    assert said[1].endswith(" works again")


def test_a_second_outage_is_said_again(patience: Patience, said: list[str]):
    patience.call(Failing(1))
    patience.call(Failing(1))
    assert len(said) == 4


def test_the_end_is_said_also_after_a_call_that_succeeded_between_a_failure_and_its_points(
    patience: Patience, said: list[str]
):
    patience.note_failure(1.0)
    patience.call(Failing(0))
    patience.note_undelivered(3, "a folder")
    patience.note_answer(3)
    patience.note_failure(1.0)
    patience.note_undelivered(2, "a folder")
    patience.note_answer(2)
    assert patience.since is None
    assert [line.partition(" works again; ")[2] for line in said] == ["", "2 points were delivered"]


@pytest.mark.parametrize("error", [BrokenPipeError(), SystemExit(1)])
def test_a_closed_terminal_does_not_end_a_writer(workplace: Workplace, error: BaseException):
    def fail(line: str) -> None:
        raise error

    patience = Patience(workplace.uri, fail)
    patience.note_failure(1.0)
    patience.note_undelivered(1, "a folder")
    patience.note_answer(1)
    assert patience.since is None


def test_an_outage_that_other_processes_see_is_said_once_and_its_end_too(
    patience: Patience, said: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outage, "WATCH_SECONDS", 0.01)
    replies = [True, False, False, True, True, False, False, True]
    seen = threading.Event()

    def reply(uri: str) -> bool:
        if not replies:
            seen.set()
            return True
        return replies.pop(0)

    monkeypatch.setattr(outage, "answers", reply)
    with patience.watching("a folder"):
        assert seen.wait(60)
    begun, over = (
        "; training continues, and the points are kept in a folder",
        f"the tracking store {patience.uri} works again",
    )
    assert [line if line == over else line[-len(begun) :] for line in said] == [begun, over] * 2


@pytest.mark.parametrize(("count", "words"), [(1, "; 1 point was delivered"), (1234, "; 1,234 points were delivered")])
def test_the_end_of_an_outage_names_the_number_of_points(patience: Patience, said: list[str], count: int, words: str):
    patience.note_failure(1.0)
    patience.note_undelivered(count, "a folder")
    patience.note_answer(count)
    assert said[-1].endswith(f" works again{words}")


def test_a_short_outage_is_not_mentioned(patience: Patience, said: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outage, "QUIET_SECONDS", 60)
    assert patience.call(Failing(3)) == "recorded"
    assert said == []


def test_a_wrong_request_is_not_repeated(patience: Patience, said: list[str]):
    call = Failing(1, RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}))
    with pytest.raises(RestException):
        patience.call(call)
    assert call.calls == 1
    assert said == []


def test_the_wait_ends_with_an_error_and_later_calls_do_not_wait(patience: Patience, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outage, "WAIT_SECONDS", 0.05)
    with pytest.raises(StoreError, match=r"has not answered since .*, so not everything could be recorded") as caught:
        patience.call(Failing(10**9))
    assert is_outage(caught.value)
    monkeypatch.setattr(outage, "WAIT_SECONDS", 10**9)
    later = Failing(10**9)
    with pytest.raises(StoreError):
        patience.call(later)
    assert later.calls == 1


def test_a_hurried_call_on_a_store_that_does_not_answer_is_not_made(patience: Patience, workplace: Workplace):
    call = Failing(0)
    database = workplace.folder / "mlflow.db"
    sqlite3.connect(database).close()
    patience.hurry()
    with locked(database), pytest.raises(StoreError):
        patience.call(call)
    assert call.calls == 0
    patience.renew()
    assert patience.call(call) == "recorded"


def test_a_process_that_is_asked_to_stop_probes_a_silent_store_once(
    patience: Patience, monkeypatch: pytest.MonkeyPatch
):
    probes: list[str] = []

    def no_answer(uri: str) -> bool:
        probes.append(uri)
        return False

    monkeypatch.setattr(outage, "answers", no_answer)
    patience.hurry()
    for _ in range(3):
        with pytest.raises(StoreError):
            patience.call(Failing(0))
    assert probes == [patience.uri]


def test_a_wait_ends_when_the_process_is_stopping(patience: Patience):
    call = Failing(10**9)
    patience.is_stopping = lambda: call.calls >= 3
    with pytest.raises(StoreError):
        patience.call(call)
    assert call.calls <= 4


@pytest.mark.usefixtures("signals_restored")
def test_a_signal_that_is_held_back_ends_the_wait(patience: Patience):
    raise_on_signals()

    def asks_to_stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise refused()

    with pytest.raises(Interrupted), deferred():
        patience.call(asks_to_stop)


def test_mlflow_tries_once_during_a_call_and_as_often_as_before_afterwards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(RETRIES, "7")
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with single_attempts():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(60)
    with single_attempts():
        leave.set()
        thread.join()
        assert os.environ[RETRIES] == "0"
    assert os.environ[RETRIES] == "7"


# --- MLflow's client -----------------------------------------------------------------------------------------------


@pytest.fixture
def unreliable(workplace: Workplace, client: MlflowClient) -> UnreliableClient:
    return UnreliableClient(workplace.uri)


def test_a_run_whose_creation_was_not_confirmed_is_not_created_twice(
    unreliable: UnreliableClient, patience: Patience, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
):
    create = client.create_run
    answers_lost: list[str] = []

    def create_and_lose_the_answer(*arguments: object, **named: object) -> mlflow.entities.Run:
        created = create(*arguments, **named)
        if not answers_lost:
            answers_lost.append(created.info.run_id)
            raise refused()
        return created

    monkeypatch.setattr(unreliable.client, "create_run", create_and_lose_the_answer)
    run = PatientClient(unreliable.client, patience).create_run("0", run_name="x", tags=origin_tags())
    assert [run.info.run_id] == answers_lost
    assert len(client.search_runs(["0"])) == 1


def test_properties_of_the_client_are_those_of_mlflows(unreliable: UnreliableClient, patience: Patience):
    assert PatientClient(unreliable.client, patience).tracking_uri == unreliable.client.tracking_uri
