"""A worker of a sweep: when it stops claiming trials, how it ends them, and its log."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from multiprocessing import Pipe
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient

from src import study, tracking
from src.errors import StoreError
from src.process.interrupt import Interrupted, deferred
from src.schema import Config
from src.space import Places, define
from src.sweep.job import STOP, Job
from src.sweep.opening import open_sweep
from src.sweep.setting import find_data
from src.sweep.worker import ORPHANED, Worker, _listen, _print_retry
from tests.support.extensions import LOUD, write_files
from tests.support.patients import execute
from tests.support.sweeps import Study, plan
from tests.support.workplace import Workplace

QUICK = ["dataset=synthetic", "dataset.limit=100", "training.epochs=1", "model=dense", "tracking.detail=light"]


@pytest.mark.parametrize(("seconds", "late"), [(-1, True), (3600, False), (None, False)])
@pytest.mark.parametrize("clock", [0.0, 4e9])
def test_setting_the_clock_does_not_change_the_timeout(
    seconds: float | None, late: bool, clock: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = None if seconds is None else time.monotonic() + seconds
    worker = object.__new__(Worker)  # without its stores
    worker.job = Job({}, Places("", []), tracking.StudyId("a", "b"), None, 1, first=0, starter="me", deadline=deadline)
    monkeypatch.setattr(time, "time", lambda: clock)
    assert worker._is_too_late() is late


@pytest.mark.parametrize(
    ("epoch", "line"),
    [
        (3, "trial 7 continues trial 2 after epoch 3\n"),
        (0, "trial 7 repeats trial 2, because this machine has no checkpoint of it\n"),
    ],
)
def test_the_log_says_where_a_repeated_trial_begins(epoch: int, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    _print_retry(7, 2, epoch)
    assert capfd.readouterr().out == line


def test_the_end_of_the_parent_is_noticed_after_a_second_request_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    ours, theirs = Pipe()
    for message in (b"the job", STOP, STOP):
        ours.send_bytes(message)
    ours.close()
    busy = threading.Event()
    busy.set()
    with theirs:
        _listen(theirs, queue.SimpleQueue(), threading.Event(), busy)
    assert codes == [ORPHANED]


# --- how a trial ends ----------------------------------------------------------------------------------------------


@pytest.fixture
def worker(workplace: Workplace) -> Iterator[Worker]:
    """A worker of a new study; an interruption that counts as a retry is not tried again."""
    places = [f"tracking.uri='{workplace.uri}'", f"hydra.sweeper.storage='{Study(workplace.folder).storage}'"]
    planned = plan(*QUICK, *places, "seed=1,2", "hydra.sweeper.max_retries=0")
    store = tracking.open_store(planned.tracking)
    with closing(study.open_storage(planned.settings.storage, planned.tracking.uri)) as storage:
        sweep = open_sweep(planned, define(planned), 2, storage, store, find_data(planned))
        worker = Worker(sweep.job, threading.Event())
        with closing(worker.claims._storage), worker.claims.alive(worker.owner):
            yield worker


def claimed(worker: Worker) -> tuple[optuna.Trial, Config]:
    found = worker.claims.claim(worker.owner, lambda trial: worker.plan.space.draw(study.picker(trial)))
    assert not isinstance(found, study.NoTrial)
    trial, config = found
    assert isinstance(config, Config)
    return trial, config


def assert_given_back(worker: Worker, reason: str) -> None:
    """Assert that the first trial was interrupted for this reason, and that this does not count as a retry."""
    (trial,) = worker.claims.trials()
    assert (trial.state.name, trial.user_attrs["interrupted"]) == ("FAIL", True)
    assert reason in trial.user_attrs["reason"]
    assert worker.claims.counts().retried == 1


def status_of_run(worker: Worker, number: int) -> str:
    (run,) = [run for run in tracking.study_runs(worker.store, worker.job.study) if run.number == number]
    return run.status


def stop_before(worker: Worker, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGTERM just before the worker ends a trial with this method of its claims."""
    original = getattr(worker.claims, name)

    def stopped(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(worker.claims, name, stopped)


def assert_complete(worker: Worker) -> None:
    """The only trial is complete, in the study and in MLflow."""
    assert [trial.state.name for trial in worker.claims.trials()] == ["COMPLETE"]
    assert status_of_run(worker, 0) == "FINISHED"


def fail(error: Exception, *_: object, **__: object) -> None:
    raise error


def test_a_trial_that_cannot_be_begun_without_the_storage_is_given_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.claims, "chain", partial(fail, StoreError("the storage did not answer")))
    with pytest.raises(StoreError, match="did not answer"):
        worker.run_trial(*claimed(worker))
    assert_given_back(worker, "did not answer")


def test_a_trial_whose_failure_cannot_be_recorded_is_given_back(worker: Worker, workplace: Workplace) -> None:
    trial, _ = claimed(worker)
    execute(workplace.folder / "mlflow.db", "ALTER TABLE runs RENAME TO gone")
    with pytest.raises(StoreError, match=r"the tracking store .* failed during the run"):
        worker.run_trial(trial, ValueError("no such network"))
    assert_given_back(worker, "failed during the run")


def test_a_trial_whose_costs_cannot_be_recorded_is_complete(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.tracking.record_costs", partial(fail, StoreError("the store did not answer")))
    with pytest.raises(StoreError, match="did not answer"):
        worker.run_trial(*claimed(worker))
    assert_complete(worker)


@pytest.mark.usefixtures("signals_are_ours")
def test_a_training_that_is_complete_counts_although_its_worker_is_stopped_then(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before(worker, "complete", monkeypatch)
    with pytest.raises(Interrupted):
        worker.run_trial(*claimed(worker))
    assert_complete(worker)


@pytest.mark.usefixtures("signals_are_ours")
def test_a_worker_that_is_stopped_while_it_records_a_failure_gives_the_trial_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before(worker, "fail", monkeypatch)
    with pytest.raises(Interrupted):
        worker.run_trial(claimed(worker)[0], ValueError("no such network"))
    assert_given_back(worker, "stopped by SIGTERM")


@pytest.mark.usefixtures("signals_are_ours")
def test_a_signal_is_held_back_for_seconds_at_most_while_the_storage_does_not_answer() -> None:
    worker = object.__new__(Worker)  # without its stores
    worker.stop, worker.is_training, worker.must_end = threading.Event(), True, False
    with contextlib.suppress(Interrupted), deferred():
        signal.raise_signal(signal.SIGTERM)
        worker._between(0.2)
        with pytest.raises(Interrupted):
            worker._between(study.HURRY_SECONDS + 1)


def test_a_trial_fails_if_the_code_of_a_user_asks_to_leave(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.sweep.worker.train", lambda *_, **__: sys.exit(0))
    assert worker.run_trial(*claimed(worker))
    (trial,) = worker.claims.trials()
    assert (trial.state.name, trial.user_attrs["reason"]) == ("FAIL", "SystemExit: 0")
    assert "interrupted" not in trial.user_attrs


def missing(client: MlflowClient, experiment: str) -> str:
    return "0" * 32


def deleted(client: MlflowClient, experiment: str) -> str:
    run_id = str(client.create_run(experiment).info.run_id)
    client.delete_run(run_id)
    return run_id


def running(client: MlflowClient, experiment: str) -> str:
    return str(client.create_run(experiment).info.run_id)


@pytest.mark.parametrize(
    ("make", "reason"), [(missing, "has no 000"), (deleted, "was deleted"), (running, "is still RUNNING")]
)
def test_a_trial_whose_initial_weights_do_not_exist_fails(
    make: Callable[[MlflowClient, str], str], reason: str, worker: Worker, workplace: Workplace
) -> None:
    trial, config = claimed(worker)
    config.training.initial_weights = make(MlflowClient(workplace.uri), worker.store.experiment_id)
    assert worker.run_trial(trial, config)
    (ended,) = worker.claims.trials()
    assert "interrupted" not in ended.user_attrs
    assert reason in ended.user_attrs["reason"]


# --- whole sweeps --------------------------------------------------------------------------------------------------

LOUD_SWEEP = ["-m", "extensions=[loud]", "model=loud", *[typed for typed in QUICK if not typed.startswith("model=")]]


@pytest.mark.services
def test_trials_that_kill_their_worker_each_time_are_given_up_and_the_others_are_trained(workplace: Workplace) -> None:
    write_files(workplace.folder, LOUD)
    space = ["model.dies=true,false", "hydra.sweeper.max_retries=1"]
    done = workplace.run("src.train", *LOUD_SWEEP, *space)
    assert done.returncode == 0, done.stderr
    assert "2 trials: 1 complete, 1 failed; 1 interrupted" in done.stdout
    assert "trial 1 is not tried again after 2 attempts" in done.stdout


@pytest.mark.services
def test_a_network_that_calls_exit_fails_and_the_sweep_continues(workplace: Workplace) -> None:
    write_files(workplace.folder, LOUD)
    done = workplace.run("src.train", *LOUD_SWEEP, "model.leaves=true,false")
    assert done.returncode == 0, done.stderr
    first, second = Study(workplace.folder).study.trials
    assert (first.state.name, second.state.name) == ("FAIL", "COMPLETE")
    assert "model loud: loud:build_loud failed: SystemExit: 0 (" in first.user_attrs["reason"]
    Study(workplace.folder).assert_whole(2)


def a_pipe_that_nothing_reads() -> int:
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


def a_full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.services
@pytest.mark.parametrize("open_output", [a_pipe_that_nothing_reads, a_full_disk])
def test_a_worker_whose_output_is_lost_trains_a_network_that_prints(
    open_output: Callable[[], int], workplace: Workplace
) -> None:
    write_files(workplace.folder, LOUD)
    output = open_output()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "src.train", *LOUD_SWEEP, "seed=1,2"],
            cwd=workplace.folder,
            env=workplace.environment(),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(output)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the output cannot be written") == 1
    Study(workplace.folder).assert_each_ran_once(2, epochs=1)
