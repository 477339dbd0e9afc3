"""Outages: a tracking store that does not answer for a while. Calls are repeated until it answers again."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, TypeVar

import mlflow

from src.errors import StoreError
from src.process.interrupt import release, released_if
from src.tracking.probes import answers, is_outage
from src.tracking.tags import PROCESS

WAIT_SECONDS = 300  # for which the end of a training waits for a store that does not answer
QUIET_SECONDS = 3  # a shorter outage is not mentioned
STUCK_SECONDS = 8  # a call that takes longer than this counts as an outage
SILENT_SECONDS = 10  # between two probes in a process that is asked to stop
PAUSES = (0.5, 1.0, 2.0, 4.0, 5.0)  # seconds between two attempts; the last one is repeated
WATCH_SECONDS = 2  # between two probes of a process that only watches
TICK = 0.2  # seconds between two checks for a request to stop
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"

Result = TypeVar("Result")


_attempts_lock = threading.Lock()
_attempting: list[str | None] = []  # what the variable was, once for each call that is being made


@contextlib.contextmanager
def single_attempts() -> Iterator[None]:
    """Let MLflow's client send each request only once inside the block: its repetitions are silent."""
    with _attempts_lock:
        _attempting.append(os.environ.get(RETRIES) if not _attempting else _attempting[0])
        os.environ[RETRIES] = "0"
    try:
        yield
    finally:
        with _attempts_lock:
            before = _attempting.pop()
            if not _attempting:
                _restore(before)


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop(RETRIES, None)
    else:
        os.environ[RETRIES] = before


class Outages:
    """Repeats calls on a store that does not answer, and says when an outage begins and ends.

    A store has one, which the calls of the main thread and of the writers share.

    Args:
        uri: the address of the store.
        say: prints a line in the terminal.

    Attributes:
        since: when the present outage began, in seconds since 1970; None when the store answers.
        is_stopping: returns True once nothing is to be waited for, because the process was asked to stop.
    """

    def __init__(self, uri: str, say: Callable[[str], None]) -> None:
        self.uri = uri
        self.since: float | None = None
        self.is_stopping: Callable[[], bool] = lambda: False
        self._say = say
        self._is_hurried = False
        self._silent_until = 0.0  # by the monotonic clock; a process that is asked to stop sends no other probe before
        self._lock = threading.RLock()
        self._is_announced = self._is_wait_announced = False
        self._undelivered = self._delivered = 0  # points of this outage

    @property
    def is_over(self) -> bool:
        """True if a store that does not answer is not waited for."""
        return self._is_hurried or self.is_stopping()

    def hurry(self) -> None:
        """Wait no longer: the process was asked to stop, or has waited long enough."""
        self._is_hurried = True

    def renew(self) -> None:
        """Wait again, for another run."""
        self._is_hurried = False

    def store_answers(self) -> bool:
        """Return whether the store answers a probe; a process that is asked to stop does not probe again and again."""
        if self.is_over and time.monotonic() < self._silent_until:
            return False
        if answers(self.uri):
            return True
        self._silent_until = time.monotonic() + SILENT_SECONDS
        return False

    def deadline(self) -> float:
        """Return the time, by the monotonic clock, until which a wait that begins now may last."""
        return time.monotonic() + WAIT_SECONDS

    def call(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns; repeat it while the store does not answer.

        Raises:
            StoreError: the store did not answer for `WAIT_SECONDS`, or the process was asked to stop meanwhile.
        """
        deadline: float | None = None
        attempt = 0
        while True:
            started, failure = time.time(), None
            # A probe takes seconds at most, a call on a store that does not answer much longer.
            if not (self.since or self.is_over) or self.store_answers():
                try:
                    with single_attempts(), released_if(self._is_stuck):
                        result = function()
                except Exception as error:
                    if not is_outage(error):
                        raise
                    failure = error
                else:
                    self.note_answer()
                    return result
            self.note_failure(started)
            deadline = deadline or self.deadline()
            self.wait(deadline, pause(attempt), failure)
            attempt += 1

    @contextlib.contextmanager
    def watching(self, place: str) -> Iterator[None]:
        """Announce outages for other processes, which print nothing and keep their points at this place."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(WATCH_SECONDS):
                started = time.time()
                if answers(self.uri):
                    self.note_answer()
                else:
                    self.note_failure(started)
                    self.note_undelivered(0, place)

        threading.Thread(target=watch, name="store-watch", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _is_stuck(self, frame: FrameType | None) -> bool:
        """Return True if the frame waits for an answer of the store, which does not answer a probe either."""
        if not _is_in_request(frame) or self.store_answers():
            return False
        self.note_failure(time.time())
        return True

    def wait(self, deadline: float, seconds: float, failure: Exception | None = None) -> None:
        """Wait this long, or until the process is asked to stop.

        Args:
            deadline: by the monotonic clock; after it nothing is waited for.
            seconds: the pause.
            failure: the reason, if it is known.

        Raises:
            StoreError: the deadline has passed, or the process is stopping.
            Interrupted: a signal was held back.
        """
        if self.is_over or time.monotonic() > deadline:
            self.hurry()
            raise StoreError(f"{self._describe()}, so not everything could be recorded") from failure
        self._announce_wait()
        release()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.is_over:
            time.sleep(TICK)
            release()

    def note_failure(self, started: float) -> None:
        """Note a call that failed or takes too long, and was begun at this time."""
        with self._lock:
            self.since = self.since or started

    def note_undelivered(self, count: int, place: str) -> None:
        """Note how many more points are kept at this place; announce the outage if it has lasted for a while."""
        with self._lock:
            self._undelivered += count
            if self.since is not None and not self._is_announced and time.time() - self.since >= QUIET_SECONDS:
                self._is_announced = True
                self._print(f"{self._describe()}; training continues, and the points are kept in {place}")

    def note_answer(self, delivered: int = 0) -> None:
        """Note that the store answered; the outage is over once all points of it are delivered.

        Points are counted as delivered even if another call has ended the outage before they were counted as kept.
        """
        with self._lock:
            self._undelivered -= delivered
            if self.since is None:
                return
            self._delivered += delivered
            if self._undelivered > 0:
                return
            if self._is_announced:
                count = self._delivered
                points = f"; {count:,} point{'s were' if count > 1 else ' was'} delivered" if count else ""
                self._print(f"the tracking store {self.uri} works again{points}")
            self.since = None
            self._is_announced = self._is_wait_announced = False
            self._delivered = 0

    def note_given_up(self, count: int) -> None:
        """Note how many points stay in the folder for good."""
        with self._lock:
            self._undelivered -= count

    def _announce_wait(self) -> None:
        with self._lock:
            if self._is_wait_announced or self.since is None or time.time() - self.since < QUIET_SECONDS:
                return
            self._is_announced = self._is_wait_announced = True
            minutes = f"{WAIT_SECONDS / 60:g} minutes" if WAIT_SECONDS > 60 else f"{WAIT_SECONDS:g} seconds"
            self._print(f"{self._describe()}; waiting up to {minutes} for it, to record the rest")

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError, SystemExit):  # of a closed terminal or pipe, which must not end a writer
            self._say(line)

    def _describe(self) -> str:
        since = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"the tracking store {self.uri} has not answered since {since}"


def _is_in_request(frame: FrameType | None) -> bool:
    """Return True for a frame of a request. Elsewhere, such as in TensorFlow, an exception of a signal may crash."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in ("urllib3", "sqlalchemy"):
            return True
        frame = frame.f_back
    return False


def pause(attempt: int) -> float:
    """Return the seconds to wait after an attempt, counted from 0."""
    return PAUSES[min(attempt, len(PAUSES) - 1)]


def patiently(client: Any, function: Callable[[], Result]) -> Result:
    """Return what the function returns. A client that waits for its store repeats it while the store is away."""
    return client.outages.call(function) if isinstance(client, PatientClient) else function()


def is_cut_off(client: Any) -> bool:
    """Return True while the store of a client that waits for it does not answer."""
    return isinstance(client, PatientClient) and client.outages.since is not None


class PatientClient:
    """MLflow's client of a store, whose calls wait for the store when it does not answer.

    Attributes:
        outages: shared by all that use the store.
        impatient: MLflow's client itself.
    """

    def __init__(self, client: mlflow.MlflowClient, outages: Outages) -> None:
        self.impatient = client
        self.outages = outages

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.impatient, name)
        return functools.partial(self._call, value) if callable(value) else value

    def _call(self, method: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        return self.outages.call(lambda: method(*arguments, **named))

    def create_run(self, experiment_id: str, run_name: str | None = None, tags: Mapping[str, str] | None = None) -> Any:
        """Create a run, or return the one that an earlier attempt created although its answer was lost."""
        start_time = int(time.time() * 1000)
        key = f"attributes.start_time = {start_time} and tags.`{PROCESS}` = '{(tags or {}).get(PROCESS, '')}'"
        attempts = 0

        def create() -> Any:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and (found := self.impatient.search_runs([experiment_id], key)):
                return found[0]
            return self.impatient.create_run(experiment_id, start_time=start_time, run_name=run_name, tags=tags)

        return self.outages.call(create)
