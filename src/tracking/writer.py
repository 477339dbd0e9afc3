"""Writing metrics in the background, so that training does not wait for the store."""

import threading
import time
from collections import deque

import mlflow

from src.errors import StoreError, first_line
from src.tracking.outage import STUCK_SECONDS, TICK, Outages, pause, single_attempts
from src.tracking.probes import is_outage
from src.tracking.store import explain_refusal, is_disk_full
from src.tracking.undelivered import Points, Undelivered, read_points

BATCH = 1_000  # points in one request, MLflow's limit
GRACE_SECONDS = 2  # for the points of a process that was asked to stop, when the store has just come back


class Writer:
    """A background thread that delivers points in order.

    While the store does not answer, the points are kept in memory and in a file, and delivered when it answers again.
    Any other error is raised at the next `put` or `flush`.

    Args:
        client: MLflow's client of the store.
        run_id: the id of the run.
        undelivered: the folder for points that cannot be delivered.
        outages: notes and announces outages. Without it an outage is an error like any other.
    """

    def __init__(
        self, client: mlflow.MlflowClient, run_id: str, undelivered: Undelivered, outages: Outages | None = None
    ) -> None:
        self._client = client
        self._id = run_id
        self._undelivered = undelivered
        self._outages = outages
        self._changed = threading.Condition()
        self._pending: deque[Points] = deque()
        self._kept = 0  # how many of the pending ones are in the file; all others come after them
        self._is_one_by_one = False
        self._busy_since: float | None = None
        self._is_closed = True
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what an earlier process of this run could not deliver."""
        with self._changed:
            if self._is_closed:
                self._is_closed = False
                self._load()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="tracking-writer", daemon=True)
                self._thread.start()

    def put(self, points: Points) -> None:
        """Queue points.

        Raises:
            StoreError: the store refused earlier ones.
        """
        self._raise_error()
        with self._changed:
            self.start()
            self._pending.append(points)
            self._changed.notify_all()
        self._keep_if_out()

    def flush(self) -> None:
        """Wait until all points are delivered, or until the wait for a store that does not answer ends.

        Raises:
            StoreError: they could not be.
        """
        outages, deadline = self._outages, None
        grace = time.monotonic() + GRACE_SECONDS
        while not self._is_done(TICK):
            self._keep_if_out()
            if outages is None:
                continue
            if outages.is_over and outages.since is None and not outages.store_answers():
                outages.note_failure(time.time())
            if outages.since is not None and (not outages.is_over or time.monotonic() > grace):
                deadline = deadline or outages.deadline()
                outages.wait(deadline, 0)
        self._raise_error()

    def close(self) -> None:
        """End the thread. What is not delivered stays in the file."""
        with self._changed:
            self._is_closed = True
            self._give_up()
            self._changed.notify_all()

    def _load(self) -> None:
        """Queue what an earlier process of this run, or this one before `close`, could not deliver."""
        if self._outages is not None and self._undelivered.exists:
            self._pending.extend(read_points(self._undelivered.folder))
            self._kept = len(self._pending)
            self._outages.note_undelivered(self._count(self._kept), str(self._undelivered.folder))

    def _give_up(self) -> None:
        """Leave what is not delivered to the file. On a full disk, only points that are there already stay."""
        if self._outages is not None and self._pending:
            if self._error is None or not is_disk_full(self._client.tracking_uri, self._error):
                self._keep()
            self._outages.note_given_up(self._count(self._kept))
        self._pending.clear()
        self._kept = 0

    def _is_done(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending or self._error is not None, seconds)

    def _keep_if_out(self) -> None:
        """Keep the points in the file too if the store does not answer."""
        with self._changed:
            if self._outages is None or self._error is not None or not self._pending:
                return
            if self._busy_since is not None and time.time() - self._busy_since > STUCK_SECONDS:
                self._outages.note_failure(self._busy_since)
            if self._kept or self._outages.since is not None:
                self._keep()

    def _keep(self) -> None:
        assert self._outages is not None
        new = list(self._pending)[self._kept :]
        place = str(self._undelivered.folder)
        try:
            if new:
                self._undelivered.add_points(new)
        except OSError as error:  # tried again with the next points
            new, place = [], f"memory, because {place} cannot be written ({error.strerror})"
        self._kept += len(new)
        self._outages.note_undelivered(sum(len(points.metrics) for points in new), place)

    def _count(self, kept: int) -> int:
        return sum(len(points.metrics) for points in list(self._pending)[:kept])

    def _work(self) -> None:
        attempt = 0
        while batch := self._next_batch(attempt):
            started = time.time()
            try:
                with single_attempts():
                    self._client.log_batch(self._id, metrics=[one for points in batch for one in points.entities()])
            except Exception as error:
                if not self._note_failure(error, started, len(batch)):
                    return
                attempt += 1
            else:
                attempt = 0
                self._note_delivery(batch)

    def _next_batch(self, attempt: int) -> list[Points]:
        """Return the next points after a pause, none when the thread is to end."""
        with self._changed:
            if attempt:
                self._changed.wait_for(lambda: self._is_closed, pause(attempt - 1))
            self._changed.wait_for(lambda: self._pending or self._is_closed)
            if self._is_closed:
                self._thread = None
                return []
            batch, size = [self._pending[0]], len(self._pending[0].metrics)
            for points in list(self._pending)[1:]:
                size += len(points.metrics)
                if size > BATCH or self._is_one_by_one:
                    break
                batch.append(points)
            self._busy_since = time.time()
            return batch

    def _note_failure(self, error: Exception, started: float, size: int) -> bool:
        """Note a failed request, and return whether to try again."""
        with self._changed:
            self._busy_since = None
            if self._outages is not None and is_outage(error):
                self._outages.note_failure(started)
                self._keep()
                return True
            if size > 1:  # one of them was refused, the others are still to be delivered
                self._is_one_by_one = True
                return True
            self._error = error  # raised in the main thread
            self._give_up()
            self._changed.notify_all()
            return False

    def _note_delivery(self, batch: list[Points]) -> None:
        with self._changed:
            self._busy_since = None
            if not self._pending or self._pending[0] is not batch[0]:
                return  # closed meanwhile: they are in the file too, and repeating them changes nothing
            for _ in batch:
                self._pending.popleft()
            kept = min(self._kept, len(batch))
            self._kept -= kept
            if kept and not self._kept:
                self._undelivered.remove_points()
            if self._outages is not None:  # before `flush` returns, after which the process may end
                self._outages.note_answer(sum(len(points.metrics) for points in batch[:kept]))
            self._changed.notify_all()

    def _raise_error(self) -> None:
        if self._error is not None:
            uri = self._client.tracking_uri
            reason = explain_refusal(uri, self._error) or first_line(self._error)
            raise StoreError(f"the tracking store no longer accepts metrics: {reason}") from self._error
