"""What a worker process does: claim a trial, train, tell, again, until the study has all its trials.

The process is started before anyone knows what it will be asked to do, because importing TensorFlow takes longer than
all the rest. Its job comes through a pipe; so does the wish to stop; and when the other end of the pipe is closed, the
parent is gone and the worker goes too.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import queue
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import psutil

from src import console, datasets, fitting, models, saving, study, tracking
from src.errors import StoreError, UserError
from src.process.interrupt import raise_on_signals
from src.process.lazy import import_now
from src.redact import redact
from src.results import TrainResult, best_metrics, trial_name
from src.schema import Config, DatasetConfig, Scalar
from src.space import SweepPlan, config_of
from src.train import train

if TYPE_CHECKING:
    import optuna
    from omegaconf import DictConfig


RECYCLE = 3  # exit code of a worker that asks for a successor
FAILING = 4  # exit code of a worker that found too many failed trials in a row
MOST_GROWTH = 512 * 2**20  # bytes of memory that trials may leave behind in one process
WAIT_SECONDS = 0.5
ORPHANED = 1
MOST_REASON = 2_000  # characters


@dataclass(frozen=True)
class Job:
    """What a worker needs to know.

    Attributes:
        plan: what is searched and how.
        study: of a study that exists.
        parent_run_id: the MLflow run of the sweep, None when tracking is off.
        n_trials: how many trials the study has in the end.
        queue: parameters of the first trials.
        first: the number of the first trial that belongs to this command.
        deadline: time after which no further trial is begun, by the monotonic clock that all processes of the machine
            share, or None.
    """

    plan: SweepPlan
    study: tracking.StudyId
    parent_run_id: str | None
    n_trials: int
    queue: list[dict[str, Scalar]]
    first: int
    deadline: float | None


def work(connection: Connection) -> None:
    """The life of a worker process; `connection` brings the job, and after it at most the wish to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says what follows from it
    stop, busy = threading.Event(), threading.Event()
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, jobs, stop, busy), daemon=True).start()
    try:
        _import_early()
        raise_on_signals(ctrl_c=False)
        job = jobs.get()
        busy.set()
        code = 0 if stop.is_set() else Worker(job, stop).run()
    except KeyboardInterrupt:
        code = 128 + signal.SIGTERM
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1" or not isinstance(error, UserError):
            print(redact(traceback.format_exc()), file=sys.stderr)
        print(redact(f"a worker ended: {error}"), file=sys.stderr, flush=True)
        code = UserError.exit_code
    atexit._run_exitfuncs()  # TensorFlow's temporary files go; its own goodbye would take a second
    os._exit(code)


def _listen(connection: Connection, jobs: queue.SimpleQueue[Job], stop: threading.Event, busy: threading.Event) -> None:
    try:
        jobs.put(connection.recv())
        connection.recv()
        stop.set()
        if not busy.is_set():
            os._exit(0)
        connection.recv()
    except Exception:  # the parent is gone
        os._exit(ORPHANED)


def _import_early() -> None:
    """What every trial needs, imported while the parent still opens its stores."""
    console.console.quiet = True
    import_now(tracking, study, datasets, models, fitting, saving)


class Worker:
    """Runs trials of one study, one after the other."""

    def __init__(self, job: Job, stop: threading.Event) -> None:
        self.job = job
        self.stop = stop
        self.owner = uuid.uuid4().hex
        self.store: tracking.Store = tracking.open_store(job.plan.example.tracking)
        storage = study.open_storage(job.plan.settings.storage, job.plan.example.tracking.uri)
        self.claims: study.Claims = study.Claims(
            job.study.name,
            *storage,
            job.plan.settings,
            n_trials=job.n_trials,
            queue=job.queue,
            first=job.first,
            on_dead=self._lose,
        )
        self.datasets: dict[str, datasets.Dataset] = {}

    def run(self) -> int:
        """Trials until there is none left, or the process should end for another reason; returns its exit code."""
        memory = psutil.Process().memory_info
        at_start: int | None = None
        with self.claims.alive(self.owner):
            while not self.stop.is_set() and not self._is_too_late():
                claimed = self.claims.claim(self.owner, lambda trial: self.job.plan.space.draw(study.picker(trial)))
                if claimed == study.Verdict.WAIT:
                    self.stop.wait(WAIT_SECONDS)
                elif claimed == study.Verdict.FAILING:
                    return FAILING
                elif isinstance(claimed, study.Verdict):
                    return 0
                else:
                    is_alive = self.run_trial(*claimed)
                    used = memory().rss
                    at_start = at_start or used
                    if not is_alive or used - at_start > MOST_GROWTH:
                        return RECYCLE
        return 0

    def _is_too_late(self) -> bool:
        return self.job.deadline is not None and time.monotonic() > self.job.deadline

    def run_trial(self, trial: optuna.Trial, drawn: DictConfig | Exception) -> bool:
        """Trains what was drawn and tells the study how it went, whatever happens.

        Returns:
            Whether the trial was still this worker's; otherwise somebody took the worker for dead.

        Raises:
            KeyboardInterrupt: the process was asked to end.
            StoreError: the stores cannot be reached; the trial is given back.
        """
        try:
            if isinstance(drawn, Exception):
                raise drawn
            config = trial_config(config_of(drawn), trial.number, self.job.plan.settings.save_models)
            watch = study.TrialWatch(trial, self.job.plan.metric, config.training.max_epochs, self.stop)
            result = train(
                config,
                dataset=self._dataset(config.dataset),
                store=self.store,
                observers=[watch],
                parent_run_id=self.job.parent_run_id,
                tags=self.job.study.tags_of_trial(trial.number),
                worth_keeping=self._worth_keeping,
            )
        except (KeyboardInterrupt, StoreError) as stop:
            is_ours = self.claims.interrupt(trial, self.owner, redact(str(stop)))
            if isinstance(stop, StoreError):
                with contextlib.suppress(Exception):  # it says FAILED, if it can be reached at all
                    self._lose(trial.number)
            if not isinstance(stop, study.Stopped):
                raise
        except Exception as error:
            is_ours = self._fail(trial, error)
        else:
            is_ours = self._tell(trial, result, pruned=watch.pruned)
        if not is_ours:
            self._lose(trial.number)
        return is_ours

    def _fail(self, trial: optuna.Trial, error: Exception) -> bool:

        run_id = tracking.record_failed_trial(
            self.store,
            self.job.study,
            trial.number,
            run_name=trial_name(trial.number),
            parent_run_id=self.job.parent_run_id,
            params=trial.params,
            error=error,
        )
        reason = redact(f"{type(error).__name__}: {error}")[:MOST_REASON]
        return self.claims.fail(trial, self.owner, reason, {"run_id": run_id})

    def _tell(self, trial: optuna.Trial, result: TrainResult, pruned: bool) -> bool:

        attributes: dict[str, Any] = {
            "run_id": result.run_id,
            "epochs": len(result.history["loss"]),
            **best_metrics(result.metrics, result.best_epoch),
        }
        if pruned:
            tracking.tag_run(self.store, result.run_id, {"trial_state": "PRUNED"})
            return self.claims.prune(trial, self.owner, attributes)
        return self.claims.complete(trial, self.owner, result.metrics[self.job.plan.metric], attributes)

    def _lose(self, number: int) -> None:

        tracking.record_lost_trial(
            self.store,
            self.job.study,
            number,
            run_name=trial_name(number),
            parent_run_id=self.job.parent_run_id,
        )

    def _worth_keeping(self, metrics: Mapping[str, float]) -> bool:
        """Whether a trial with these metrics keeps its model: all of them do, or those that are the best so far."""
        if self.job.plan.settings.save_models == "all":
            return True
        best = self.claims.best_value()
        value = metrics[self.job.plan.metric]
        return best is None or (value > best if self.job.plan.direction == "maximize" else value < best)

    def _dataset(self, config: DatasetConfig) -> datasets.Dataset:
        """The data set, read once; the last two are kept."""
        key = repr(config)
        if key not in self.datasets:
            while len(self.datasets) > 1:
                del self.datasets[next(iter(self.datasets))]
            self.datasets[key] = datasets.load_dataset(config)
        return self.datasets[key]


def trial_config(config: Config, number: int, save_models: str) -> Config:
    """The configuration that a trial trains with: named after its number."""
    tracking = dataclasses.replace(
        config.tracking,
        run_name=trial_name(number),
        save_model=config.tracking.save_model and save_models != "none",
    )
    return dataclasses.replace(config, tracking=tracking)
