"""Workers that are processes of this machine: started early, replaced when they die, ended with their parent."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from src import console
from src.errors import UserError
from src.extensions import loaded_extensions
from src.process.gpus import (
    VISIBLE_DEVICES,
    check_gpus_of_worker,
    describe_sharing,
    divide_gpus,
    installed_gpus,
    visible_gpus,
)
from src.process.interrupt import deferred
from src.process.machine import THREADS, cores
from src.space import SweepPlan
from src.sweep.job import STOP, Job
from src.sweep.worker import FAILING, RECYCLE
from src.sweep.worker_log import log_folder

# `multiprocessing` would send the process what it needs after it has started it: if this process is killed in between,
# the other one fails with a trace.
CODE = (
    "import sys; from src.process.parent import end_with_parent; end_with_parent(int(sys.argv.pop(1)), 1); "
    "from src.sweep.worker import main; main()"
)
MIN_DEATHS = 3  # of workers in a row for each of them, before the sweep ends without a trial that ended in between


class WorkerProcess(NamedTuple):
    """A worker process, and its number among those that run at a time: 0 to `n_jobs` - 1."""

    number: int
    popen: subprocess.Popen[bytes]


class LocalWorkers:
    """`n_jobs` processes, each with its share of the cores and GPUs. They live as long as the block, at most.

    To be used in the main thread: Linux kills the processes when the thread ends that started them.

    Args:
        n_jobs: how many processes run at a time.
        gpus_per_worker: the setting of that name, see `src.process.gpus.divide_gpus`.
        has_log: True if the output of this process is a log, which contains that of the workers.
        max_retries: how often a trial that kills its worker is tried again.

    Attributes:
        n_jobs: how many processes run at a time.
        gpus: the GPUs of each process; one that replaces another gets its GPUs.
        failing: whether a worker found that too many trials failed in a row.

    Raises:
        ConfigError: the processes need more GPUs than there are, or CUDA_VISIBLE_DEVICES is not a list of GPUs.
    """

    name = ""

    def __init__(
        self, n_jobs: int, gpus_per_worker: float | None = None, has_log: bool = False, max_retries: int = 0
    ) -> None:
        self.n_jobs = n_jobs
        self.gpus = divide_gpus(visible_gpus(os.environ, installed_gpus()), n_jobs, gpus_per_worker)
        self.failing = False
        self._has_log = has_log
        self._job: Job | None = None
        self._living: dict[Connection, WorkerProcess] = {}
        self._deaths = 0  # since the last progress
        # A trial that is given up kills `max_retries` + 1 workers. The last of them dies after that progress was noted.
        self._max_deaths = max(MIN_DEATHS, max_retries + 2) * n_jobs
        self._progress = 0
        self._stopping = False
        self._ended: Sequence[object] = []
        self._warnings: set[str] = set()

    def check(self, plan: SweepPlan) -> None:
        """Raise ConfigError if `training.devices` is larger than the number of GPUs that each worker has."""
        for base in plan.space.bases.values():
            devices = str(base.training.devices)
            if devices.isdecimal() and not plan.space.is_swept("training.devices"):
                check_gpus_of_worker(int(devices), self.gpus)

    def __enter__(self) -> LocalWorkers:
        try:
            for number in range(self.n_jobs):
                self._start(number)
        except BaseException:  # such as Ctrl-C
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def give(self, job: Job, ask_to_stop: Callable[[], object]) -> None:
        """Give every worker its job, including those that are started later, and say which GPUs they share.

        Args:
            job: of the sweep.
            ask_to_stop: not needed: this process stops its workers.
        """
        if sharing := describe_sharing(self.gpus):
            console.say(sharing)
        self._job = job
        for connection, process in self._living.items():
            _send(connection, self._message(job, process.number))

    def wait(self, seconds: float) -> bool:
        """Waits until a worker ends or sends a warning, or for this time; returns whether a worker is left."""
        found = wait(list(self._living), seconds)
        ready = [connection for connection in self._living if connection in found]
        self._ended = [connection for connection in ready if not self._receive(connection)]
        return bool(self._living)

    def _receive(self, connection: Connection) -> bool:
        """Show a warning of a worker, once for all of them; return False if the worker has ended."""
        try:
            warning = connection.recv_bytes().decode()
        except (EOFError, OSError):
            return False
        if warning not in self._warnings:
            self._warnings.add(warning)
            console.warn([warning])
        return True

    @property
    def have_ended(self) -> bool:
        """True if the last call of `wait` found workers that have ended."""
        return bool(self._ended)

    def replace_dead(self) -> None:
        """Starts a worker for each one that died, unless the sweep stops.

        Raises:
            UserError: too many workers died without any progress.
        """
        for connection in [connection for connection in self._living if connection in self._ended]:
            number, process = self._living.pop(connection)
            exit_code = process.wait()
            connection.close()
            if exit_code == FAILING:
                self.failing = True
                self.stop()
            elif exit_code != 0 and not self._stopping:
                self._replace(number, exit_code)

    def note_progress(self, ended_trials: int) -> None:
        """Forgets the deaths of workers when more trials have ended than at the last call."""
        if ended_trials > self._progress:
            self._deaths = 0
        self._progress = ended_trials

    def stop(self) -> None:
        """Lets each worker end its trial with the epoch, and start no other trial."""
        self._stopping = True
        for connection in self._living:
            _send(connection, STOP)

    def end(self) -> None:
        """Ends all workers at once: no trial is running, or the sweep was stopped."""
        self.kill()

    def check_ending(self, is_done: bool) -> None:
        """Do nothing: a worker ends early only for a reason that its exit code gives."""

    def kill(self) -> None:
        """Ends all workers at once."""
        self._stopping = True
        with deferred():
            for process in self._living.values():
                process.popen.kill()
            for connection, process in self._living.items():
                process.popen.wait()
                connection.close()
            self._living.clear()

    def _replace(self, number: int, exit_code: int) -> None:
        if exit_code != RECYCLE:
            self._deaths += 1
        if self._deaths >= self._max_deaths:
            hint = "; if memory is short, use a smaller hydra.sweeper.n_jobs or training.batch_size"
            remedy = hint if exit_code < 0 else ""  # a signal ended it
            raise UserError(
                f"{self._deaths} workers died one after the other, the last with exit code {exit_code}; "
                f"their messages are above{remedy}"
            )
        self._start(number)

    def _start(self, number: int) -> None:
        ours, theirs = Pipe()
        module = sys.modules["__main__"].__spec__
        extensions = [extension.name for extension in loaded_extensions()]
        command = [sys.executable, "-P", "-c", CODE, str(os.getpid()), str(theirs.fileno())]
        command += [module.name if module else "", sys.argv[0], *extensions]
        environment = os.environ | self._own_variables(number)
        with deferred(), _ctrl_c_blocked(), theirs:
            popen = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
            self._living[ours] = WorkerProcess(number, popen)
        if self._job is not None:
            _send(ours, self._message(self._job, number))

    def _message(self, job: Job, number: int) -> bytes:
        """Return the job of a worker. One that replaces another appends to its log."""
        if not self._has_log:
            log = log_folder(job.study.name) / f"local-{os.getpid()}-{number + 1}.log"
            job = dataclasses.replace(job, log=str(log))
        return job.as_message()

    def _own_variables(self, number: int) -> dict[str, str]:
        """Return the environment variables of a process that differ from those of this one.

        TensorFlow reads the numbers of threads and the GPUs when it is imported. A number of threads that the user has
        set is not changed.
        """
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)  # and -P adds nothing to it
        share = str(max(1, cores() // self.n_jobs))
        variables = {"PYTHONPATH": path} | {name: share for name in THREADS if name not in os.environ}
        gpus = self.gpus[number]
        return variables if gpus is None else variables | {VISIBLE_DEVICES: gpus}


def _send(connection: Connection, message: bytes) -> None:
    with suppress(OSError):  # the worker has just died; `wait` will find it
        connection.send_bytes(message)


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Blocks SIGINT; a process that is started inside never receives it until it unblocks it itself.

    Ctrl-C goes to all processes of a terminal. A worker would answer it with a trace before it can ignore it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
