"""The worker processes of a sweep as their parent sees them: started early, replaced when dead, gone when it goes."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType

from src.errors import UserError
from src.sweep.worker import FAILING, RECYCLE, Job, work

MOST_DEATHS = 3  # of workers in a row, without a trial ended in between


class Workers:
    """`n_jobs` processes, each with its share of the cores, as long as the block lasts."""

    def __init__(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._job: Job | None = None
        self._living: dict[SpawnProcess, Connection] = {}
        self._deaths = 0
        self._stopping = False
        self.failing = False

    def __enter__(self) -> "Workers":
        with _share_of_cores(self._n_jobs):
            for _ in range(self._n_jobs):
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
        """Waits for something to happen, replaces who died; returns whether there is a worker left.

        Raises:
            UserError: workers die one after the other.
        """
        ended = wait([process.sentinel for process in self._living], seconds)
        for process in [process for process in self._living if process.sentinel in ended]:
            process.join()
            self._living.pop(process).close()
            if process.exitcode == FAILING:
                self.failing = True
            elif process.exitcode != 0 and not self._stopping:
                self._replace(process.exitcode)
        return bool(self._living)

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
        if self._deaths >= MOST_DEATHS * self._n_jobs:
            raise UserError(
                f"{self._deaths} workers died in a row, the last with exit code {exit_code}; what they said is above. "
                "Too little memory? Try a smaller hydra.sweeper.n_jobs or training.batch_size"
            )
        with _share_of_cores(self._n_jobs):
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
    share = str(max(1, len(os.sched_getaffinity(0)) // n_jobs))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, share))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
