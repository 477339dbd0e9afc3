"""A training that is killed again and again, and resumed each time, has the result of one that was not."""

import hashlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.support.workplace import Workplace

LENOT = ("dataset=mnist", "model=lenot", "model.dropout=0.3", "augmentation=digits", "training.deterministic=true")
TYPED = (*LENOT, "training.checkpoint_minutes=0")
SHORT = ("dataset.source=sample", "dataset.limit=1500", "training.epochs=5")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TIMES = re.compile(r"epoch_seconds|images_per_second|checkpoint/.*")
# Calls of functions, before which a process is killed: within the writing of a checkpoint and of files of the run, the
# saving of the model, and the end of the run.
MOMENTS = (
    "src.checkpoints/_write_array/{}",
    "src.checkpoints/_sync_folder/{}",
    "src.checkpoints/_remove_old/{}",
    "src.writing/os/replace/{}",
    "src.keeping/Keeper/note_epoch/{}",
    "src.keeping/save_in_run/1",
    "src.tracking.run/Model/log/1",
    "src.tracking.run/Run/describe/1",
)
AT_LAST = "src.tracking.run/Run/end/1"  # if no other moment comes

# Runs a command, and kills it once: after some seconds, or before the n-th call of a function. Signals have their usual
# meaning, even if this test runs in the background of a shell that ignores them.
KILLED = """
import importlib, os, signal, sys, threading
for each in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
signum, seconds, *moments = sys.argv.pop(1).split()
once = threading.Lock()
def stop():
    if once.acquire(blocking=False):
        os.kill(os.getpid(), int(signum))
def watch(module, *path):
    *owners, name, count = path
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), []
    def counted(*arguments, **named):
        calls.append(None)
        if len(calls) == int(count):
            stop()
        return original(*arguments, **named)
    setattr(owner, name, counted)
for moment in moments:
    watch(*moment.split("/"))
timer = threading.Timer(float(seconds), stop)
timer.daemon = True
timer.start()
from src import train
train.main()
"""


@dataclass
class Killer:
    """Kills a training a number of times, and resumes it each time.

    Attributes:
        place: where the training works.
        typed: its command line.
        seconds: that it takes without an interruption.
        random: decides when and how it is killed.
        kills: how often it has been killed.
        restarts: how often nothing could be resumed: there was no run yet, or it had no configuration.
        log: a line for each process.
    """

    place: Workplace
    typed: Sequence[str]
    seconds: float
    random: random.Random
    kills: int = 0
    restarts: int = 0
    log: list[str] = field(default_factory=list)

    def train(self, kills: int) -> None:
        """Train to the end, with this many kills."""
        command = list(self.typed)
        while self.kills < kills:
            moments, signum = self.moments(), self.random.choice(SIGNALS)
            done = self.start(f"{int(signum)} {moments}", command)
            self.log.append(f"{signum.name} {moments} {command[0]}: {done.returncode} {said(done)}")
            if done.returncode == 1 and "keeps no config/config.yaml" in done.stderr:
                MlflowClient(self.place.uri).delete_run(runs_of(self.place)[-1].info.run_id)
                self.restarts, command = self.restarts + 1, list(self.typed)
                continue
            assert done.returncode in (-signum, 128 + signum), self.report(done)
            self.kills += 1
            runs = runs_of(self.place)
            command = [f"resume={runs[-1].info.run_id}"] if runs else list(self.typed)
            self.restarts += not runs
        done = self.start(f"9 {24 * 3600}", command)
        if done.returncode == 1 and "keeps no config/config.yaml" in done.stderr:
            MlflowClient(self.place.uri).delete_run(runs_of(self.place)[-1].info.run_id)
            self.restarts += 1
            done = self.start(f"9 {24 * 3600}", list(self.typed))
        assert done.returncode == 0, self.report(done)

    def moments(self) -> str:
        """When the next process is killed, in turn: before a call of a function, after some seconds."""
        if self.kills % 2:
            return f"{self.random.uniform(0.2, 0.9) * self.seconds:.2f} {AT_LAST}"
        return f"{24 * 3600} {self.random.choice(MOMENTS).format(self.random.randint(1, 6))} {AT_LAST}"

    def start(self, moments: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Train in a process that is killed at one of the moments."""
        return subprocess.run(
            [sys.executable, "-c", KILLED, moments, *command],
            cwd=self.place.folder, env=self.place.environment(), capture_output=True, text=True,
        )  # fmt: skip

    def report(self, done: subprocess.CompletedProcess[str]) -> str:
        return "\n".join([*self.log, done.stdout, done.stderr])


def said(done: subprocess.CompletedProcess[str]) -> str:
    """How far a process came."""
    epochs = re.findall(r"^(resuming .*|epoch \d+/\d+)", done.stdout, re.MULTILINE)
    return f"{epochs[:1]} to {epochs[-1:]} {done.stderr.strip()[-200:]}"


def runs_of(place: Workplace) -> list[Run]:
    """The runs that were not deleted, the newest last."""
    client = MlflowClient(place.uri)
    experiment = client.get_experiment_by_name("convlab")
    if experiment is None:
        return []
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


def result_of(place: Workplace) -> dict[str, Any]:
    """Everything in the only run that a kill may not change."""
    (run,) = runs_of(place)
    client, run_id = MlflowClient(place.uri), run.info.run_id
    points = {name: client.get_metric_history(run_id, name) for name in run.data.metrics if not TIMES.fullmatch(name)}
    models = [str(model.status) for model in client.search_logged_models([run.info.experiment_id])]
    artifacts = place.folder / "mlartifacts" / run_id / "artifacts"
    return {
        "status": run.info.status,
        "weights": digest_of(artifacts / "model/model.h5"),
        "metrics": {name: sorted((point.step, point.value) for point in found) for name, found in points.items()},
        "params": {name: value for name, value in run.data.params.items() if name != "tracking.uri"},
        "models": models.count("READY"),
        "files": sorted(str(path.relative_to(artifacts)) for path in artifacts.rglob("*")),
        "left": sorted(
            path.name for path in place.folder.iterdir() if not path.name.startswith(("mlflow.db-", "outputs"))
        ),
    }


def digest_of(file: Path) -> str:
    """The SHA-256 of all weights in a file."""
    digest = hashlib.sha256()

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            digest.update(name.encode() + np.asarray(item).tobytes())

    with h5py.File(file) as weights:
        weights.visititems(add)
    return digest.hexdigest()


def check_kills(typed: Sequence[str], kills: int, seed: int, folder: Path) -> Killer:
    """Assert that a training that is killed some times has the result of an uninterrupted one."""
    whole, killed = Workplace(folder / "whole"), Workplace(folder / "killed")
    whole.folder.mkdir()
    killed.folder.mkdir()
    start = time.monotonic()
    Killer(whole, typed, 0, random.Random(seed)).train(0)
    killer = Killer(killed, typed, time.monotonic() - start, random.Random(seed))
    killer.train(kills)
    print("\n".join(killer.log), f"{killer.kills} kills, {killer.restarts} new starts", sep="\n")
    assert result_of(killed) == result_of(whole), "\n".join(killer.log)
    return killer


@pytest.mark.fault
@pytest.mark.parametrize("seed", [1])
def test_a_training_that_is_killed_a_few_times_has_the_same_result(seed: int, tmp_path: Path) -> None:
    check_kills((*TYPED, *SHORT), 4, seed, tmp_path)


@pytest.mark.slow
def test_lenot_on_mnist_that_is_killed_twenty_times_has_the_same_result(full_data: str, tmp_path: Path) -> None:
    check_kills((*TYPED, "dataset.source=full", f"dataset.data_dir={full_data}", "training.epochs=2"), 20, 1, tmp_path)
