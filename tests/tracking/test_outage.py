"""Outages: waiting until a store answers again."""

import os
import signal
import sqlite3
import threading

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import RestException

from src.errors import StoreError
from src.process.interrupt import Interrupted, deferred, raise_on_signals
from src.tracking import origin_tags, outage, probes
from src.tracking.outage import RETRIES, Outages, PatientClient, single_attempts
from src.tracking.probes import is_outage
from tests.support.outages import UnreliableClient, locked, refused
from tests.support.workplace import Workplace


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def outages(workplace: Workplace, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Outages:
    monkeypatch.setattr(outage, "PAUSES", (0.01,))
    monkeypatch.setattr(outage, "TICK", 0.01)
    monkeypatch.setattr(outage, "QUIET_SECONDS", 0)
    monkeypatch.setattr(probes, "PROBE_SECONDS", 0.1)
    return Outages(workplace.uri, said.append)


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


def test_a_call_is_repeated_until_the_store_answers_and_both_are_said_once(outages: Outages, said: list[str]):
    call = Failing(5)
    assert outages.call(call) == "recorded"
    assert call.calls == 6
    assert len(said) == 2
    assert " has not answered since " in said[0]
    assert "waiting up to 5 minutes for it" in said[0]
    assert said[1].endswith(" works again")


def test_a_second_outage_is_said_again(outages: Outages, said: list[str]):
    outages.call(Failing(1))
    outages.call(Failing(1))
    assert len(said) == 4


def test_the_end_is_said_also_after_a_call_that_succeeded_between_a_failure_and_its_points(
    outages: Outages, said: list[str]
):
    outages.note_failure(1.0)
    outages.call(Failing(0))
    outages.note_undelivered(3, "a folder")
    outages.note_answer(3)
    outages.note_failure(1.0)
    outages.note_undelivered(2, "a folder")
    outages.note_answer(2)
    assert outages.since is None
    assert [line.partition(" works again; ")[2] for line in said] == ["", "2 points were delivered"]


@pytest.mark.parametrize("error", [BrokenPipeError(), SystemExit(1)])
def test_a_closed_terminal_does_not_end_a_writer(workplace: Workplace, error: BaseException):
    def fail(line: str) -> None:
        raise error

    outages = Outages(workplace.uri, fail)
    outages.note_failure(1.0)
    outages.note_undelivered(1, "a folder")
    outages.note_answer(1)
    assert outages.since is None


def test_an_outage_that_other_processes_see_is_said_once_and_its_end_too(
    outages: Outages, said: list[str], monkeypatch: pytest.MonkeyPatch
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
    with outages.watching("a folder"):
        assert seen.wait(60)
    begun, over = (
        "; training continues, and the points are kept in a folder",
        f"the tracking store {outages.uri} works again",
    )
    assert [line if line == over else line[-len(begun) :] for line in said] == [begun, over] * 2


@pytest.mark.parametrize(("count", "words"), [(1, "; 1 point was delivered"), (1234, "; 1,234 points were delivered")])
def test_the_end_of_an_outage_names_the_number_of_points(outages: Outages, said: list[str], count: int, words: str):
    outages.note_failure(1.0)
    outages.note_undelivered(count, "a folder")
    outages.note_answer(count)
    assert said[-1].endswith(f" works again{words}")


def test_a_short_outage_is_not_mentioned(outages: Outages, said: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outage, "QUIET_SECONDS", 60)
    assert outages.call(Failing(3)) == "recorded"
    assert said == []


def test_a_wrong_request_is_not_repeated(outages: Outages, said: list[str]):
    call = Failing(1, RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}))
    with pytest.raises(RestException):
        outages.call(call)
    assert call.calls == 1
    assert said == []


def test_the_wait_ends_with_an_error_and_later_calls_do_not_wait(outages: Outages, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outage, "WAIT_SECONDS", 0.05)
    with pytest.raises(StoreError, match=r"has not answered since .*, so not everything could be recorded") as caught:
        outages.call(Failing(10**9))
    assert is_outage(caught.value)
    monkeypatch.setattr(outage, "WAIT_SECONDS", 10**9)
    later = Failing(10**9)
    with pytest.raises(StoreError):
        outages.call(later)
    assert later.calls == 1


def test_a_hurried_call_on_a_store_that_does_not_answer_is_not_made(outages: Outages, workplace: Workplace):
    call = Failing(0)
    database = workplace.folder / "mlflow.db"
    sqlite3.connect(database).close()
    outages.hurry()
    with locked(database), pytest.raises(StoreError):
        outages.call(call)
    assert call.calls == 0
    outages.renew()
    assert outages.call(call) == "recorded"


def test_a_process_that_is_asked_to_stop_probes_a_silent_store_once(outages: Outages, monkeypatch: pytest.MonkeyPatch):
    probes: list[str] = []

    def no_answer(uri: str) -> bool:
        probes.append(uri)
        return False

    monkeypatch.setattr(outage, "answers", no_answer)
    outages.hurry()
    for _ in range(3):
        with pytest.raises(StoreError):
            outages.call(Failing(0))
    assert probes == [outages.uri]


def test_a_wait_ends_when_the_process_is_stopping(outages: Outages):
    call = Failing(10**9)
    outages.is_stopping = lambda: call.calls >= 3
    with pytest.raises(StoreError):
        outages.call(call)
    assert call.calls <= 4


@pytest.mark.usefixtures("signals_restored")
def test_a_signal_that_is_held_back_ends_the_wait(outages: Outages):
    raise_on_signals()

    def asks_to_stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise refused()

    with pytest.raises(Interrupted), deferred():
        outages.call(asks_to_stop)


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
    unreliable: UnreliableClient, outages: Outages, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
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
    run = PatientClient(unreliable.client, outages).create_run("0", run_name="x", tags=origin_tags())
    assert [run.info.run_id] == answers_lost
    assert len(client.search_runs(["0"])) == 1


def test_properties_of_the_client_are_those_of_mlflows(unreliable: UnreliableClient, outages: Outages):
    assert PatientClient(unreliable.client, outages).tracking_uri == unreliable.client.tracking_uri
