"""The worker processes of a sweep as their parent sees them: started early, replaced when dead, gone when it goes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType

from src.errors import UserError
from src.process.machine import cores
from src.sweep.worker import FAILING, RECYCLE, Job, work

MOST_DEATHS = 3  # of workers in a row, without a trial ended in between


class Workers:
    """`n_jobs` processes, each with its share of the cores, as long as the block lasts."""

    def __init__(self, n_jobs: int) -> None:
        self.n_jobs = n_jobs
        self._job: Job | None = None
        self._living: dict[SpawnProcess, Connection] = {}
        self._deaths = 0
        self._stopping = False
        self._ended: Sequence[object] = []
        self.failing = False

    def __enter__(self) -> Workers:
        with _share_of_cores(self.n_jobs):
            for _ in range(self.n_jobs):
                self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def begin(self, job: Job) -> None:
        """Gives every worker its job."""
        self._job = job
        for connection in self._living.values():
            _send(connection, job)

    def wait(self, seconds: float) -> bool:
        """Waits for something to happen; returns whether there is a worker left."""
        self._ended = wait([process.sentinel for process in self._living], seconds)
        return bool(self._living)

    def look_after(self) -> None:
        """Replaces who died, unless the sweep is to stop.

        Raises:
            UserError: workers die one after the other.
        """
        for process in [process for process in self._living if process.sentinel in self._ended]:
            process.join()
            self._living.pop(process).close()
            if process.exitcode == FAILING:
                self.failing = True
                self.stop()
            elif process.exitcode != 0 and not self._stopping:
                self._replace(process.exitcode)

    def note_progress(self) -> None:
        """A trial has ended: workers that died before were not dying for nothing."""
        self._deaths = 0

    def stop(self) -> None:
        """Lets each worker end its trial with the epoch, and begin no other."""
        self._stopping = True
        for connection in self._living.values():
            _send(connection, None)

    def kill(self) -> None:
        """Ends all of them at once."""
        self._stopping = True
        for process in self._living:
            process.kill()
        for process, connection in self._living.items():
            process.join()
            connection.close()
        self._living.clear()

    def _replace(self, exit_code: int | None) -> None:
        if exit_code != RECYCLE:
            self._deaths += 1
        if self._deaths >= MOST_DEATHS * self.n_jobs:
            killed = exit_code is not None and exit_code < 0
            remedy = "; too little memory? Try a smaller hydra.sweeper.n_jobs or training.batch_size" if killed else ""
            raise UserError(
                f"{self._deaths} workers died one after the other, the last with exit code {exit_code}; "
                f"what they said is above{remedy}"
            )
        with _share_of_cores(self.n_jobs):
            self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._living[process] = ours
        if self._job is not None:
            _send(ours, self._job)


def _send(connection: Connection, message: Job | None) -> None:
    with suppress(OSError):  # it has just died; `wait` will find it
        connection.send(message)


@contextmanager
def _share_of_cores(n_jobs: int) -> Iterator[None]:
    """Started inside, a process finds in its environment how many threads it may use, before it imports anything."""
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    unset = [name for name in names if name not in os.environ]  # whoever has set one knows why
    os.environ.update(dict.fromkeys(unset, str(max(1, cores() // n_jobs))))
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]
