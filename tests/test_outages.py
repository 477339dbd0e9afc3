"""Trainings and sweeps whose store goes away for a while or for good: a real server, and a file that is locked."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from src.tracking import deliver
from tests.support.outages import locked, paused
from tests.support.servers import MlflowServer, plain_server
from tests.support.sweeps import Study
from tests.support.workplace import Workplace

pytestmark = [pytest.mark.services, pytest.mark.fault]

# A command of which the end waits this long for a store, instead of minutes.
IMPATIENT = """
import sys
from src.tracking import outage
outage.WAIT_SECONDS = float(sys.argv.pop(1))
from src.train import main
main()
"""
FOREVER = 600.0
EPOCHS = 150


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with plain_server(tmp_path_factory.mktemp("server")) as server:
        yield server


class Training:
    """`python -m src.train`, left running.

    Attributes:
        out: the lines that it has printed; complete after `end`.
    """

    def __init__(
        self, workplace: Workplace, uri: str, *arguments: str, epochs: int = EPOCHS, wait_seconds: float = FOREVER
    ) -> None:
        self.epochs = epochs
        self.out: list[str] = []
        typed = ["dataset=synthetic", f"training.epochs={epochs}", f"tracking.uri={uri}", *arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT, str(wait_seconds), *typed],
            cwd=workplace.folder,
            env=workplace.environment(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="0.5"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def read_until(self, sign: str) -> None:
        """Read what it prints until a line begins with, or contains, this sign."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.out.append(line.rstrip("\n"))
            if sign in line:
                return
        raise AssertionError(f"{sign!r} was not printed: {self.out[-5:]} {self.process.communicate()[1]}")

    def train_until(self, epoch: int) -> None:
        self.read_until(f"epoch {epoch:>{len(str(self.epochs))}}/{self.epochs}")

    def end(self) -> tuple[int, list[str]]:
        """Wait for its end; return the exit code and the lines of the error stream."""
        out, err = self.process.communicate(timeout=580)
        self.out += out.splitlines()
        return self.process.returncode, err.splitlines()

    def said(self, sign: str) -> list[str]:
        return [line for line in self.out if sign in line]


@contextlib.contextmanager
def killed(server: MlflowServer) -> Iterator[None]:
    """Kill a server, and start it again."""
    server.kill()
    try:
        yield
    finally:
        server.start()
        server.wait()


def newest_run(uri: str) -> Run:
    (run, *_) = MlflowClient(uri).search_runs(["1"], order_by=["attributes.start_time DESC"])
    return run


def assert_complete(uri: str, run_id: str, epochs: int, names: Sequence[str] = ("loss", "val_accuracy")) -> None:
    for name in names:
        steps = [point.step for point in MlflowClient(uri).get_metric_history(run_id, name)]
        assert steps == list(range(1, epochs + 1)), name


def assert_announced_once(training: Training, uri: str) -> None:
    begun = training.said("has not answered since")
    assert all(line.startswith(f"the tracking store {uri} has not answered since ") for line in begun)
    assert len([line for line in begun if "training continues" in line]) <= 1
    assert len([line for line in begun if "waiting up to" in line]) <= 1
    assert 1 <= len(begun) <= 2
    assert len(training.said("works again")) == 1


Interruption = Callable[[MlflowServer], contextlib.AbstractContextManager[None]]


@pytest.mark.parametrize("interrupt", [paused, pytest.param(killed, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("seconds", "epochs"),
    [(9, EPOCHS), pytest.param(60, 600, marks=pytest.mark.slow), pytest.param(300, 600, marks=pytest.mark.slow)],
)
def test_a_server_that_goes_away_for_a_while_costs_no_point(
    server: MlflowServer, workplace: Workplace, interrupt: Interruption, seconds: float, epochs: int
):
    training = Training(workplace, server.uri, "tracking.system_metrics=true", epochs=epochs)
    training.train_until(2)
    with interrupt(server):
        time.sleep(seconds)
    code, err = training.end()
    assert (code, err) == (0, [])
    run = newest_run(server.uri)
    assert run.info.status == "FINISHED"
    assert_complete(server.uri, run.info.run_id, epochs)
    samples = MlflowClient(server.uri).get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    assert [sample.step for sample in samples] == list(range(len(samples)))
    assert "model/model.keras" in {
        file.path for file in MlflowClient(server.uri).list_artifacts(run.info.run_id, "model")
    }
    assert_announced_once(training, server.uri)
    assert not (workplace.folder / ".undelivered").exists()


@pytest.mark.parametrize("seconds", [25, pytest.param(60, marks=pytest.mark.slow)])  # MLflow waits for a lock for 20
def test_a_database_that_is_locked_for_a_while_costs_no_point(workplace: Workplace, seconds: float):
    training = Training(workplace, workplace.uri)
    training.train_until(2)
    with locked(workplace.folder / "mlflow.db"):
        time.sleep(seconds)
    assert training.end() == (0, [])
    run = newest_run(workplace.uri)
    assert run.info.status == "FINISHED"
    assert_complete(workplace.uri, run.info.run_id, EPOCHS)
    assert_announced_once(training, workplace.uri)
    assert not (workplace.folder / ".undelivered").exists()


def folder_in(line: str) -> Path:
    """The folder in the line that says how to deliver."""
    found = re.search(r"python -m src\.doctor sync=(\S+)$", line)
    assert found, line
    return Path(found[1])


def test_a_server_that_stays_away_leaves_everything_in_a_folder_from_which_it_is_delivered(
    server: MlflowServer, workplace: Workplace
):
    training = Training(workplace, server.uri, epochs=30, wait_seconds=3)
    training.train_until(2)
    with killed(server):
        code, err = training.end()
        assert code == 1
        assert err[0].startswith(f"error: the tracking store {server.uri} has not answered since ")
        folder = folder_in(err[-1])
        assert folder.parent == workplace.folder / ".undelivered"
        assert json.loads((folder / "run.json").read_text())["status"] == "KILLED"
        assert (folder / "artifacts" / "model" / "model.keras").stat().st_size > 0
        assert "Traceback" not in "\n".join(err)
    run_id = folder.name
    assert MlflowClient(server.uri).get_run(run_id).info.status == "RUNNING"
    delivery = deliver(folder)
    assert delivery.files >= 2  # the model and its manifest
    assert f"python -m src.train resume={run_id}" in delivery.message
    assert_complete(server.uri, run_id, 30)
    assert MlflowClient(server.uri).get_run(run_id).info.status == "KILLED"
    assert not (workplace.folder / ".undelivered").exists()
    weights = f"training.initial_weights={run_id}"
    again = workplace.run("src.train", "dataset=synthetic", "training.epochs=1", weights, f"tracking.uri={server.uri}")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stop_during_an_outage_takes_effect_and_says_how_to_deliver(
    server: MlflowServer, workplace: Workplace, signum: int
):
    training = Training(workplace, server.uri, epochs=5_000)
    training.train_until(2)
    with paused(server):
        training.read_until("training continues")
        training.process.send_signal(signum)
        code, err = training.end()
    assert code == 128 + signum
    assert err == [f"stopped by {signal.Signals(signum).name}"]
    folder = folder_in(training.out[-1])
    last = len(training.said("loss"))
    deliver(folder)
    steps = [point.step for point in MlflowClient(server.uri).get_metric_history(folder.name, "loss")]
    assert steps in (list(range(1, last + 1)), list(range(1, last + 2)))  # a point is kept before its line is printed
    assert MlflowClient(server.uri).get_run(folder.name).info.status == "KILLED"
    assert "model/model.keras" in {file.path for file in MlflowClient(server.uri).list_artifacts(folder.name, "model")}


def test_a_stop_while_the_end_waits_for_the_server_takes_effect(server: MlflowServer, workplace: Workplace):
    training = Training(workplace, server.uri, epochs=20)
    training.train_until(2)
    with killed(server):
        training.read_until("waiting up to 10 minutes for it")
        training.process.send_signal(signal.SIGINT)
        code, _ = training.end()
        assert code == 130
        folder = folder_in(training.out[-1])
    deliver(folder)
    assert_complete(server.uri, folder.name, 20)


HANGING = """
import os, signal, sys, threading
from src import train
from src.reports.run import Recorder
from src.tracking import run
pid, name = int(sys.argv.pop(1)), sys.argv.pop(1)
owner = Recorder if hasattr(Recorder, name) else run.Model
original = getattr(owner, name)
def hang(*arguments, **named):
    os.killpg(pid, signal.SIGSTOP)
    threading.Timer(1, os.kill, [os.getpid(), signal.SIGINT]).start()
    return original(*arguments, **named)
setattr(owner, name, hang)
train.main()
"""


@pytest.mark.parametrize("moment", ["record_figures", pytest.param("log", marks=pytest.mark.slow)])
def test_a_stop_takes_effect_although_the_server_hangs_while_a_call_runs(
    server: MlflowServer, workplace: Workplace, moment: str
):
    typed = ["dataset=synthetic", "dataset.limit=100", "model=dense", "training.epochs=1", f"tracking.uri={server.uri}"]
    with paused(server):  # ends the pause that the training begins
        os.killpg(server.process.pid, signal.SIGCONT)
        done = subprocess.run(
            [sys.executable, "-c", HANGING, str(server.process.pid), moment, *typed], cwd=workplace.folder, text=True,
            env=workplace.environment(MLFLOW_HTTP_REQUEST_TIMEOUT="3600"), capture_output=True, timeout=300,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "stopped by SIGINT\n")
    assert f"python -m src.train resume={newest_run(server.uri).info.run_id}" in done.stdout


def test_the_points_of_a_process_that_is_killed_during_an_outage_are_delivered_later(
    server: MlflowServer, workplace: Workplace
):
    training = Training(workplace, server.uri, epochs=5_000)
    training.train_until(2)
    with killed(server):
        training.read_until("training continues")
        training.process.kill()
        training.end()
    (folder,) = (workplace.folder / ".undelivered").iterdir()
    last = len(training.said("loss"))
    assert deliver(folder).points > 0
    steps = [point.step for point in MlflowClient(server.uri).get_metric_history(folder.name, "loss")]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= last


KILLED_WHILE_LOGGING = """
import os, signal, sys
from src.train import main
from src.tracking import run
pid = int(sys.argv.pop(1))
original = run.Model.log
def log(**arguments):
    global pid
    if pid:
        os.killpg(pid, signal.SIGKILL)
        print("KILLED", file=sys.stderr, flush=True)
        pid = 0
    return original(**arguments)
run.Model.log = log
main()
"""


def test_an_outage_while_the_mlflow_model_is_logged_leaves_one_model_that_is_ready(
    server: MlflowServer, workplace: Workplace
):
    typed = ["dataset=synthetic", "training.epochs=1", f"tracking.uri={server.uri}"]
    training = subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_LOGGING, str(server.process.pid), *typed],
        cwd=workplace.folder, env=workplace.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert training.stderr is not None
    assert training.stderr.readline() == "KILLED\n"
    with killed(server):
        time.sleep(2)
    out, err = training.communicate(timeout=580)
    assert training.returncode == 0, out + err
    run = newest_run(server.uri)
    assert run.info.status == "FINISHED"
    models = MlflowClient(server.uri).search_logged_models(["1"], f"source_run_id = '{run.info.run_id}'")
    assert sorted(str(model.status) for model in models) == ["FAILED", "READY"]


def test_a_sweep_of_two_workers_survives_an_outage_with_exact_totals(server: MlflowServer, workplace: Workplace):
    typed = ["-m", "dataset=synthetic", "training.epochs=40", "hydra/sweeper=optuna", "model.dropout=interval(0,0.5)"]
    sweep = workplace.start(
        "src.train", *typed, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2", f"tracking.uri={server.uri}",
        "tracking.experiment=swept", "tracking.detail=light",
    )  # fmt: skip
    client = MlflowClient(server.uri)

    def trials() -> list[Run]:
        experiment = client.get_experiment_by_name("swept")
        runs = client.search_runs([experiment.experiment_id]) if experiment else []
        return [run for run in runs if "trial" in run.data.tags]

    while not any("loss" in run.data.metrics for run in trials()):
        assert sweep.poll() is None, sweep.communicate()
        time.sleep(0.5)
    with paused(server):
        time.sleep(12)
    out, err = sweep.communicate(timeout=580)
    assert sweep.returncode == 0, out + err
    assert sorted(int(run.data.tags["trial"]) for run in trials()) == list(range(6))
    assert {run.info.status for run in trials()} == {"FINISHED"}
    announced = [line for line in out.splitlines() if line.startswith(f"the tracking store {server.uri} ")]
    assert [
        re.sub(r"\d\d:\d\d:\d\d", "TIME", line).removeprefix(f"the tracking store {server.uri} ") for line in announced
    ] == [
        f"has not answered since TIME; training continues, and the points are kept in {workplace.folder}/.undelivered",
        "works again",
    ]
    assert [trial.state.name for trial in Study(workplace.folder).study.trials] == ["COMPLETE"] * 6
    for run in trials():
        assert_complete(server.uri, run.info.run_id, 40)
    assert not (workplace.folder / ".undelivered").exists()
