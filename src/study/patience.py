"""Waiting for a storage that does not answer, and for locks that other processes hold."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    ResourceClosedError,
    SQLAlchemyError,
)

from src.errors import StoreError, first_line

MAX_OUTAGE_SECONDS = 300.0  # a server is back minutes after an update
HURRY_SECONDS = 3.0  # how long a process that must end at once still waits
FIRST_PAUSE, MAX_PAUSE = 0.2, 2.0  # seconds between two attempts
BUSY = ("locked", "busy")  # in SQLite's messages for a file that another process is writing

NO_RIGHT = "42501"  # PostgreSQL's insufficient_privilege

T = TypeVar("T")


class NoAnswer(StoreError):
    """A storage that cannot be reached."""


class LockLost(Exception):
    """The session that held a lock has ended, so nothing may be written under the lock."""


@dataclass
class Patience:
    """Waits for a storage that does not answer, and says so.

    Every operation on a storage goes through `call`. It is repeated as a whole until it succeeds, so no other code has
    to know about outages.

    Args:
        place: the storage's address, for messages.
        seconds: how long an operation is repeated.
        say: prints a line when an outage begins, and one when it is over.
        between: called between two attempts with the seconds waited so far; it may raise to end the waiting.
    """

    place: str = "the storage"
    seconds: float = MAX_OUTAGE_SECONDS
    say: Callable[[str], object] = str
    between: Callable[[float], object] = float
    _is_announced: bool = field(default=False, init=False)
    _has_given_up: bool = field(default=False, init=False)

    def call(self, operation: Callable[[], T]) -> T:
        """Return the result of the operation, which is repeated as long as the storage does not answer.

        After an operation has been given up, the next ones are tried once, until one succeeds.

        Raises:
            StoreError: the storage did not answer in time; the message has the reason in its own words.
        """
        failures, began, pause = 0, 0.0, FIRST_PAUSE
        while True:
            try:
                result = operation()
            except Exception as error:
                if not is_temporary(error):
                    _explain_refusal(self.place, error)
                    raise
                failures += 1
                began = began or time.monotonic()
                waited = time.monotonic() - began
                self._check_time(waited, error)
                if failures > 1:  # if the second attempt succeeds, only a session had ended
                    self._announce(error)
            else:
                self._note_success()
                return result
            self.between(waited)
            time.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)

    def until(self, attempt: Callable[[], T | None], pause: float) -> T:
        """Return the first result of the attempt that is not None, without a limit of time."""
        started = time.monotonic()
        while (result := attempt()) is None:
            self.between(time.monotonic() - started)
            time.sleep(pause)
        return result

    def _check_time(self, waited: float, error: Exception) -> None:
        if self._has_given_up or waited > self.seconds:
            self._has_given_up = True
            raise StoreError(f"{self.place} did not answer for {_minutes(self.seconds)}: {reason_of(error)}") from error

    def _announce(self, error: Exception) -> None:
        if not self._is_announced:
            self._is_announced = True
            self.say(
                f"{self.place} has not answered since {time.strftime('%H:%M:%S')} ({reason_of(error)}); "
                f"running trials continue, and the sweep waits up to {_minutes(self.seconds)}"
            )

    def _note_success(self) -> None:
        if self._is_announced:
            self.say(f"{self.place} answers again")
        self._is_announced = self._has_given_up = False


@contextmanager
def refusals_explained(place: str) -> Iterator[None]:
    """Raise StoreError, in the words of the database, if it refuses an operation of the block to this user.

    Args:
        place: the storage's address.
    """
    try:
        yield
    except Exception as error:
        _explain_refusal(place, error)
        raise


def _explain_refusal(place: str, error: Exception) -> None:
    """Raise StoreError if the user has no right to do what was tried."""
    reason = _error_of_database(error)
    if isinstance(reason, DBAPIError) and getattr(reason.orig, "sqlstate", None) == NO_RIGHT:
        raise StoreError(
            f"{place} refuses this to its user: {reason_of(error)}; ask the owner of the database for this right"
        ) from error


def is_outage(error: BaseException) -> bool:
    """Return whether the storage itself failed, not a request to it."""
    return isinstance(error, SQLAlchemyError | StorageInternalError | LockLost)


def is_temporary(error: BaseException) -> bool:
    """Return whether the same operation may succeed later: the server is away, or another process writes the file."""
    if isinstance(error, StorageInternalError):  # Optuna's words for any error of the database
        return error.__cause__ is not None and is_temporary(error.__cause__)
    if isinstance(error, DBAPIError) and type(error.orig).__module__ == "sqlite3":
        return any(word in str(error.orig) for word in BUSY)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    temporary = OperationalError | InterfaceError | PendingRollbackError | ResourceClosedError
    return isinstance(error, temporary | LockLost | NoAnswer)


def reason_of(error: BaseException) -> str:
    """Return the first line of what the database or its driver said."""
    error = _error_of_database(error)
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    return first_line(error)


def _error_of_database(error: BaseException) -> BaseException:
    """Return the error that Optuna reports in other words."""
    while isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:g} minute{'s' * (minutes != 1)}" if minutes >= 1 else f"{seconds:g} seconds"
