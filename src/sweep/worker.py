"""A worker process of a sweep: it claims a trial, trains it, and reports it, until the study has all its trials.

The process is started before its job is known, because importing TensorFlow takes longer than everything else. The job
comes through a pipe, and so does the request to stop. When the other end of the pipe is closed, the parent has ended,
and the worker ends too.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import platform
import queue
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.machinery import ModuleSpec
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import psutil

from src import console, datasets, fitting, models, saving, study, tracking
from src.errors import StoreError, UserError
from src.extensions import load_extensions
from src.process.failures import print_error
from src.process.interrupt import deferred, raise_on_signals, release
from src.process.lazy import import_now
from src.process.output import lasting_output
from src.redact import redact
from src.results import TrainResult, trial_name
from src.resuming import Resumption
from src.schema import Config, DatasetConfig, best_metrics, excess
from src.space import read_definition
from src.sweep.chains import Chains
from src.sweep.job import Job
from src.sweep.meter import Meter
from src.sweep.worker_log import WorkerLog
from src.train import train

if TYPE_CHECKING:
    import optuna

RECYCLE = 3  # exit code of a worker that asks to be replaced
FAILING = 4  # exit code of a worker that found too many failed trials in a row
MAX_GROWTH = 512 * 2**20  # bytes of memory that trials may leave behind in one process
WAIT_SECONDS = 0.5  # between two attempts to claim a trial
ORPHANED = 1  # exit code of a worker whose parent has ended
LONGER = 60  # seconds that a worker waits longer for the storage than its parent, which gives up first and says why
MAX_REASON = 2_000  # characters


class OverLimit(Exception):
    """The network of a trial costs more than `hydra.sweeper.constraints` allows. The message says what."""


def main() -> None:
    """Runs a worker process that `src.sweep.local` started.

    Its arguments are a pipe, the module and the program that started the sweep, and the extensions to load.
    The sweep's command becomes the main module of this process too, because runs record it as their source.
    """
    pipe, module, program, *extensions = sys.argv[1:]
    os.set_inheritable(int(pipe), False)
    sys.argv = [program]
    sys.modules["__main__"].__spec__ = ModuleSpec(module, None) if module else None
    work(Connection(int(pipe)), extensions)


def work(connection: Connection, extensions: Sequence[str] = ()) -> None:
    """Runs a worker process to its end.

    The job may name kinds of extensions, so it is read after these are imported. They are imported in the main thread,
    because some libraries can only be imported there.

    Args:
        connection: sends the job, and then requests to stop.
        extensions: names of modules to import first.
    """
    with lasting_output(is_silent=True):  # the parent says what is lost
        code = _do_job(connection, extensions)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the process ends anyway
    atexit._run_exitfuncs()  # removes TensorFlow's temporary files; a regular exit would take a second longer
    os._exit(code)


def _do_job(connection: Connection, extensions: Sequence[str]) -> int:
    """Do the job that the connection sends, and return the exit code of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent handles it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # it was blocked until now, see `LocalWorkers`
    stop, busy = threading.Event(), threading.Event()
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, jobs, stop, busy), daemon=True).start()
    try:
        _import_early()
        load_extensions(extensions)
        raise_on_signals(ctrl_c=False)
        job = Job.from_message(jobs.get())
        busy.set()
        log = WorkerLog(job.log)
        log.copy_output()
        for warning in fitting.unused_gpus():
            log.note(warning)
            with contextlib.suppress(OSError):  # the parent is gone
                connection.send_bytes(warning.encode())
        return 0 if stop.is_set() else Worker(job, stop, log).run()
    except KeyboardInterrupt:
        return 128 + signal.SIGTERM
    except (Exception, SystemExit) as error:  # a user's code may call sys.exit
        if os.environ.get("HYDRA_FULL_ERROR") == "1" or not isinstance(error, UserError):
            print_error(traceback.format_exc())
        print_error(f"a worker ended: {str(error) or type(error).__name__}")
        return UserError.exit_code


def _listen(
    connection: Connection, jobs: queue.SimpleQueue[bytes], stop: threading.Event, busy: threading.Event
) -> None:
    """Passes on the job and requests to stop, and ends the process when the parent has ended."""
    try:
        jobs.put(connection.recv_bytes())
        while True:
            connection.recv_bytes()  # the request to stop, which may come more than once
            stop.set()
            if not busy.is_set():
                os._exit(0)
    except Exception:  # the parent is gone
        os._exit(ORPHANED)


def _import_early() -> None:
    """Imports what every trial needs, while the parent still opens its stores."""
    console.console.quiet = True
    import_now(tracking, study, datasets, models, fitting, saving)


class Worker:
    """Runs trials of one study, one after the other."""

    def __init__(self, job: Job, stop: threading.Event, log: WorkerLog | None = None) -> None:
        self.job = job
        self.log = log or WorkerLog(None)
        self.plan = plan = read_definition(job.definition, job.places)
        self.stop = stop
        self.owner = uuid.uuid4().hex
        self.is_training = False
        self.must_end = False
        self.store: tracking.Store = tracking.open_store(plan.tracking, console.say, is_worker=True)
        self.store.stop_waiting_if(stop.is_set)
        self.chains = Chains(plan, job.study)
        url = plan.settings.storage
        patience = study.Patience(url, study.MAX_OUTAGE_SECONDS + LONGER, between=self._between)
        storage = patience.call(lambda: study.open_storage(url, plan.tracking.uri, patience))
        self.claims: study.Claims = study.Claims(
            job.study.name,
            storage,
            plan.settings,
            n_trials=job.n_trials,
            queue=plan.first_trials(),
            first=job.first,
            starter=job.starter,
            on_dead=self._record_loss,
            epoch_of=self.chains.epoch,
        )
        self.datasets: dict[str, datasets.Dataset] = {}
        self.meter = Meter()
        self._announce()

    def _announce(self) -> None:
        """Note in the study where the log of this process is."""
        if self.log.path is not None:
            record = study.WorkerRecord(platform.node(), os.getpid(), time.time(), str(self.log.path))
            self.claims.read(lambda opened: study.note_worker(opened, record))
            self.log.note(f"process {record.pid} works on the study {self.job.study.name}")

    def run(self) -> int:
        """Runs trials until none is left, or the process must end for another reason; returns its exit code."""
        memory = psutil.Process().memory_info
        at_start: int | None = None
        with self.claims.alive(self.owner):
            while not self.stop.is_set() and not self._is_too_late():
                claimed = self.claims.claim(self.owner, lambda trial: self.plan.space.draw(study.picker(trial)))
                if claimed == study.NoTrial.WAIT:
                    self.stop.wait(WAIT_SECONDS)
                elif claimed == study.NoTrial.FAILING:
                    return FAILING
                elif isinstance(claimed, study.NoTrial):
                    return 0
                else:
                    self.is_training = True
                    is_ours = self.run_trial(*claimed)
                    self.is_training = False
                    used = memory().rss
                    at_start = at_start or used
                    if not is_ours or used - at_start > MAX_GROWTH:
                        return RECYCLE
        return 0

    def _is_too_late(self) -> bool:
        return self.job.deadline is not None and time.monotonic() > self.job.deadline

    def _between(self, waited: float) -> None:
        """Ends the waiting for the storage or a lock when nothing is lost by it."""
        if self.stop.is_set() and not self.is_training:
            raise study.Stopped(study.STOPPED)
        if waited > study.HURRY_SECONDS:
            release()
            if self.must_end:
                raise StoreError("the process was asked to end while it waited for the study")

    def run_trial(self, trial: optuna.Trial, config: Config | Exception) -> bool:
        """Train a trial and end it in the study, also after an error.

        Args:
            trial: a claimed trial.
            config: its configuration, or the error that was raised for its parameters.

        Returns:
            True if the trial was still this worker's; False if another process took this worker for dead.

        Raises:
            KeyboardInterrupt: the process was asked to end.
            StoreError: the stores cannot be reached; the trial is given back.
        """
        epochs = config.training.max_epochs if isinstance(config, Config) else 0
        watch = study.TrialWatch(trial, self.plan.metric, epochs, self.stop, self.plan.has_front)
        try:
            with tracking.explain_store_errors(self.plan.tracking.uri):
                is_ours = self._train_and_end(trial, config, watch)
        except (KeyboardInterrupt, StoreError) as stop:
            is_ours = self._give_back(trial, stop, watch)
            if is_ours and isinstance(stop, StoreError):
                with contextlib.suppress(Exception):  # the store may be unreachable; otherwise the run is FAILED
                    self._record_loss(trial.number)
            if not isinstance(stop, study.Stopped):
                raise
        if not is_ours:
            self._record_loss(trial.number)
        return is_ours

    def _train_and_end(self, trial: optuna.Trial, config: Config | Exception, watch: study.TrialWatch) -> bool:
        """Train a trial and end it in the study, unless the process is interrupted or loses its stores."""
        chain, retry_of = self.claims.chain(trial)
        self.log.note(
            f"trial {trial.number} begins" + (f": it repeats trial {retry_of}" if retry_of is not None else "")
        )
        if retry_of is not None:
            _print_retry(trial.number, retry_of, self.chains.epoch(chain))
        try:
            if isinstance(config, Exception):
                raise config
            result = self._train(trial, config, watch, chain, retry_of)
        except (KeyboardInterrupt, StoreError):
            raise
        except OverLimit as reason:
            is_ours = self._record_skip(trial, str(reason))
        except (Exception, SystemExit) as error:
            is_ours = self._record_failure(trial, error)
        else:
            with deferred():  # a signal waits until the study has the result
                self.claims.patiently(watch.deliver)
                is_ours = self._record_result(trial, result, pruned=watch.pruned)
        if is_ours and chain not in self.claims.open_chains():
            self.chains.remove(chain)
        return is_ours

    def _train(
        self, trial: optuna.Trial, config: Config, watch: study.TrialWatch, chain: int, retry_of: int | None
    ) -> TrainResult:
        config = trial_config(config, trial.number, self.plan.settings.save_models)
        self._measure_costs(trial, config)
        return train(
            config,
            dataset=self._dataset(config.dataset),
            store=self.store,
            observers=[partial(self._log_epoch, trial.number), watch],
            parent_run_id=self.job.parent_run_id,
            tags=self.job.study.tags_of_trial(trial.number, retry_of),
            worth_keeping=partial(self._worth_keeping, trial),
            resumption=Resumption(
                key=self.chains.key(chain),
                on_change="restart",
                on_resume=lambda checkpoint: watch.report_earlier(checkpoint.earlier),
                is_stopping=self.stop.is_set,
            ),
        )

    def _measure_costs(self, trial: optuna.Trial, config: Config) -> None:
        """Store in the trial what its network costs, as far as the study asks for it.

        A trial that repeats another one keeps its costs: a second measurement of a time could end it halfway.

        Raises:
            OverLimit: the network costs more than the study allows.
        """
        names, limits = self.plan.settings.costs, self.plan.settings.limits
        if not names:
            return
        costs = self.claims.costs(trial)
        if missing := [name for name in names if name not in costs]:
            costs |= self.meter.measure(config, self._dataset(config.dataset), missing, limits)
        self.claims.note_costs(trial, costs)
        if reason := excess(costs, limits):
            raise OverLimit(reason)

    def _log_epoch(self, number: int, epoch: int, logs: dict[str, float]) -> bool:
        self.log.note(f"trial {number}, epoch {epoch}: {self.plan.metric} {logs[self.plan.metric]:.4f}")
        return False

    def _give_back(self, trial: optuna.Trial, stop: BaseException, watch: study.TrialWatch) -> bool:
        """Ends a trial that was stopped, with the epochs that it has reported until then.

        Returns False if the trial had ended already, or if another worker has it now.
        """
        self.must_end = isinstance(stop, KeyboardInterrupt) and not isinstance(stop, study.Stopped)
        with contextlib.suppress(Exception, study.TrialLost):
            watch.deliver()
        try:
            is_ours = self.claims.interrupt(trial, self.owner, redact(str(stop)))
        except StoreError:
            if isinstance(stop, StoreError):
                raise
            is_ours = True  # the next process that claims a trial finds that this worker is gone
        if is_ours:
            self.log.note(f"trial {trial.number} was interrupted: {stop}")
        return is_ours

    def _record_skip(self, trial: optuna.Trial, reason: str) -> bool:
        self.log.note(f"trial {trial.number} is not trained: {reason}")
        run_id = tracking.record_skipped_trial(
            self.store,
            self.job.study,
            trial.number,
            run_name=trial_name(trial.number),
            parent_run_id=self.job.parent_run_id,
            params=trial.params,
            costs=self.claims.costs(trial),
            reason=reason,
        )
        return self.claims.skip(trial, self.owner, reason, {"run_id": run_id})

    def _record_failure(self, trial: optuna.Trial, error: Exception | SystemExit) -> bool:
        run_id = tracking.record_failed_trial(
            self.store,
            self.job.study,
            trial.number,
            run_name=trial_name(trial.number),
            parent_run_id=self.job.parent_run_id,
            params=trial.params,
            error=error,
        )
        sentence = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        reason = redact(sentence)[:MAX_REASON]
        self.log.note(f"trial {trial.number} failed: {reason}")
        return self.claims.fail(trial, self.owner, reason, {"run_id": run_id})

    def _record_result(self, trial: optuna.Trial, result: TrainResult, pruned: bool) -> bool:
        """Ends a trial, and then adds to its run: a trial whose end the study does not know is trained again."""
        attributes: dict[str, Any] = {
            "run_id": result.run_id,
            "epochs": len(result.history["loss"]),
            **best_metrics(result.metrics, result.best_epoch),
        }
        self.log.note(
            f"trial {trial.number} {'was pruned' if pruned else 'is complete'}: "
            f"{self.plan.metric} {result.metrics[self.plan.metric]:.4f}"
        )
        if pruned:
            is_ours = self.claims.prune(trial, self.owner, attributes)
        else:
            is_ours = self.claims.complete(trial, self.owner, self._values(trial, result.metrics), attributes)
        if is_ours:
            tracking.record_costs(self.store, result.run_id, self.claims.costs(trial))
            if pruned:
                tracking.tag_run(self.store, result.run_id, {"trial_state": "PRUNED"})
        return is_ours

    def _values(self, trial: optuna.Trial, metrics: Mapping[str, float]) -> list[float]:
        """Return the value of each objective: a metric of the best epoch, or what the network costs."""
        costs = self.claims.patiently(lambda: trial.user_attrs.get(study.COSTS, {}))
        known = {**metrics, **costs}
        return [known[objective.name] for objective in self.plan.objectives]

    def _record_loss(self, number: int) -> None:
        """Ends the run of a trial that was interrupted."""
        tracking.record_lost_trial(
            self.store,
            self.job.study,
            number,
            run_name=trial_name(number),
            parent_run_id=self.job.parent_run_id,
        )

    def _worth_keeping(self, trial: optuna.Trial, metrics: Mapping[str, float]) -> bool:
        """Returns whether a trial with these metrics keeps its model: every trial does, or only the best so far.

        With several objectives those are the trials that are on the front when they end.
        """
        if self.plan.settings.save_models == "all":
            return True
        rows = study.trial_rows(self.claims.trials(), limits=self.plan.settings.limits)
        return study.is_worth_keeping(self._values(trial, metrics), rows, self.plan.objectives)

    def _dataset(self, config: DatasetConfig) -> datasets.Dataset:
        """Returns the data set, which is read once; the last two stay in memory."""
        key = repr(config)
        if key not in self.datasets:
            while len(self.datasets) > 1:
                del self.datasets[next(iter(self.datasets))]
            self.datasets[key] = datasets.load_dataset(config)
        return self.datasets[key]


def _print_retry(number: int, retry_of: int, epoch: int) -> None:
    """Print where a repeated trial begins, unless a terminal shows the live view of the sweep."""
    if sys.stdout.isatty():
        return
    if epoch:
        print(f"trial {number} continues trial {retry_of} after epoch {epoch}", flush=True)
    else:
        print(f"trial {number} repeats trial {retry_of}, because this machine has no checkpoint of it", flush=True)


def trial_config(config: Config, number: int, save_models: str) -> Config:
    """Returns the configuration of a trial's training: its run is named after its number."""
    tracking_config = dataclasses.replace(
        config.tracking,
        run_name=trial_name(number),
        save_model=config.tracking.save_model and save_models != "none",
    )
    return dataclasses.replace(config, tracking=tracking_config)
