"""Patience: an operation is repeated while the storage does not answer, and given up with the storage's own words."""

import sqlite3
from collections.abc import Callable

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError, ProgrammingError

from src.errors import StoreError
from src.study import Patience, is_outage, patience, reason_of
from src.study.patience import LockLost, NoAnswer, is_temporary

REFUSED = OperationalError("select 1", {}, Exception("connection refused\nIs the server running?"))


def wrapped(error: Exception) -> StorageInternalError:
    """The error as Optuna raises it."""
    try:
        raise StorageInternalError("This typically happens due to invalid data in the commit") from error
    except StorageInternalError as found:
        return found


LOCKED = OperationalError("update", {}, sqlite3.OperationalError("database is locked"))
NO_TABLE = OperationalError("select", {}, sqlite3.OperationalError("no such table: studies"))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.0)


def failing(times: int, error: Exception = REFUSED) -> Callable[[], str]:
    """An operation that fails this number of times, then succeeds."""
    left = [error] * times

    def operation() -> str:
        if left:
            raise left.pop()
        return "done"

    return operation


@pytest.mark.parametrize("times", [0, 1, 5])
def test_an_operation_is_repeated_until_it_succeeds(times: int):
    assert Patience().call(failing(times)) == "done"


@pytest.mark.parametrize(("times", "lines"), [(0, 0), (1, 0), (2, 2), (5, 2)])
def test_an_outage_is_announced_once_and_its_end_once_but_not_a_session_that_ended(times: int, lines: int):
    said: list[str] = []
    Patience("postgresql://db/x", say=said.append).call(failing(times))
    assert len(said) == lines
    if said:
        assert said[0].startswith("postgresql://db/x has not answered since ")
        assert said[0].endswith(
            "(connection refused); running trials continue, and the sweep waits up to 5 minutes",
        )
        assert said[1] == "postgresql://db/x answers again"


def test_the_second_outage_is_announced_too():
    said: list[str] = []
    waits = Patience(say=said.append)
    for _ in range(2):
        waits.call(failing(3))
    assert [line.endswith("answers again") for line in said] == [False, True] * 2


def test_an_operation_is_given_up_with_the_words_of_the_server():
    with pytest.raises(StoreError, match=r"^db did not answer for 0 seconds: connection refused$") as raised:
        Patience("db", seconds=0).call(failing(99, wrapped(REFUSED)))
    assert not is_temporary(raised.value)


def test_after_an_operation_was_given_up_the_next_ones_are_tried_once_until_one_succeeds(
    monkeypatch: pytest.MonkeyPatch,
):
    waits = Patience(seconds=0)
    with pytest.raises(StoreError):
        waits.call(failing(99))
    waits.seconds = 300
    once = failing(1)
    with pytest.raises(StoreError):
        waits.call(once)
    assert waits.call(once) == "done"
    assert waits.call(failing(3)) == "done"


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (REFUSED, True),
        (wrapped(REFUSED), True),
        (wrapped(LOCKED), True),
        (PendingRollbackError("rolled back"), True),
        (LockLost("gone"), True),
        (NoAnswer("refused"), True),
        (NO_TABLE, False),
        (wrapped(NO_TABLE), False),
        (ProgrammingError("select", {}, Exception("no such column")), False),
        (IntegrityError("insert", {}, Exception("duplicate")), False),
        (StoreError("another program's"), False),
        (ValueError("a mistake"), False),
        (KeyError("a mistake"), False),
    ],
)
def test_only_what_may_pass_is_waited_for(error: Exception, temporary: bool):
    assert is_temporary(error) is temporary
    if temporary:
        assert Patience().call(failing(1, error)) == "done"
    else:
        with pytest.raises(type(error)) as raised:
            Patience().call(failing(1, error))
        assert raised.value is error


def test_an_outage_is_described_in_the_words_of_the_server_not_in_optuna_s():
    assert reason_of(wrapped(REFUSED)) == "connection refused"
    assert reason_of(wrapped(NO_TABLE)) == "no such table: studies"
    assert reason_of(ValueError()) == "ValueError"
    assert is_outage(wrapped(NO_TABLE))
    assert not is_outage(ValueError())


def test_waiting_ends_when_the_process_must_end():
    class MustEndError(Exception):
        pass

    def must_end(waited: float) -> None:
        assert waited >= 0
        raise MustEndError

    waits = Patience(between=must_end)
    with pytest.raises(MustEndError):
        waits.call(failing(1))
    with pytest.raises(MustEndError):
        waits.until(lambda: None, 0)
    assert waits.until(lambda: "taken", 0) == "taken"
