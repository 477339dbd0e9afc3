"""A training that is killed at any moment, and resumed, has the result of one that was not interrupted."""

import hashlib
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    "src.checkpointing.arrays/_write_array/{}",
    "src.checkpointing.files/_sync_folder/{}",
    "src.checkpointing.files/_remove_old/{}",
    "src.writing/os/replace/{}",
    "src.keeping/Keeper/note_epoch/{}",
    "src.keeping/save_in_run/1",
    "src.tracking.run/Model/log/1",
    "src.tracking.run/Run/describe/1",
)
AT_LAST = "src.tracking.run/Run/end/1"  # if no other moment comes

# Runs a command, and kills it once: some seconds after its run was opened, or before the n-th call of a function after
# that. At the end it prints the time since the run was opened. Signals have their usual meaning, even if this test runs
# in the background of a shell that ignores them.
KILLED = """
import atexit, importlib, os, signal, sys, threading, time
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
timer = threading.Timer(float(seconds), stop)
timer.daemon = True
from src import keeping, train
open_run = keeping.Keeper.open
def opened(self, run):
    timer.start()
    for moment in moments:
        watch(*moment.split("/"))
    start = time.monotonic()
    atexit.register(lambda: print(f"lasted {time.monotonic() - start}", file=sys.stderr))
    return open_run(self, run)
keeping.Keeper.open = opened
train.main()
"""


class Kill(NamedTuple):
    """A signal, and when it is sent: before a call of a function, or some seconds after the run was opened."""

    signum: signal.Signals
    moments: str


NEVER = Kill(signal.SIGKILL, str(24 * 3600))


def choose_kill(chance: random.Random, number: int, seconds: float) -> Kill:
    """Two of three kills come at any time of a training that takes so long, the others before a call."""
    signum = SIGNALS[number % len(SIGNALS)]
    if number % 3:
        return Kill(signum, f"{chance.uniform(0, seconds):.2f} {AT_LAST}")
    return Kill(signum, f"{24 * 3600} {chance.choice(MOMENTS).format(chance.randint(1, 4))} {AT_LAST}")


def run(place: Workplace, command: Sequence[str], kill: Kill = NEVER) -> subprocess.CompletedProcess[str]:
    """Run a training that is killed at one of the moments."""
    return subprocess.run(
        [sys.executable, "-c", KILLED, f"{int(kill.signum)} {kill.moments}", *command],
        cwd=place.folder, env=place.environment(), capture_output=True, text=True,
    )  # fmt: skip


def kill_and_resume(place: Workplace, typed: Sequence[str], kill: Kill) -> str:
    """Kill a training once, resume it to its end, and return a line about it."""
    done = run(place, typed, kill)
    assert done.returncode in (-kill.signum, 128 + kill.signum), f"{kill}\n{done.stdout}\n{done.stderr}"
    (killed,) = runs_of(place)
    again = run(place, [f"resume={killed.info.run_id}"])
    assert again.returncode == 0, f"{kill}\n{said(done)}\n{again.stdout}\n{again.stderr}"
    return f"{kill.signum.name} {kill.moments}: {said(done)}; {said(again)}"


def said(done: subprocess.CompletedProcess[str]) -> str:
    """How far a process came."""
    epochs = re.findall(r"^(resuming .*|epoch +\d+/\d+)", done.stdout, re.MULTILINE)
    return f"{', '.join([*epochs[:1], *epochs[1:][-1:]]) or 'no epoch'}"


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


def check_kills(typed: Sequence[str], kills: int, folder: Path) -> None:
    """Assert that trainings that are killed once and resumed have the result of an uninterrupted one."""
    whole = Workplace(folder / "whole")
    whole.folder.mkdir()
    done = run(whole, typed)
    assert done.returncode == 0, done.stderr
    expected, seconds = result_of(whole), float(done.stderr.rpartition("lasted ")[2])
    chance = random.Random(kills)
    for number in range(kills):
        place = Workplace(folder / f"killed-{number}")
        place.folder.mkdir()
        line = kill_and_resume(place, typed, choose_kill(chance, number, seconds))
        print(line, flush=True)
        assert result_of(place) == expected, line
        shutil.rmtree(place.folder)


@pytest.mark.fault
def test_a_training_that_is_killed_has_the_same_result_when_it_is_resumed(tmp_path: Path) -> None:
    check_kills((*TYPED, *SHORT), 2, tmp_path)


@pytest.mark.slow
def test_lenot_on_mnist_has_the_same_result_after_each_of_twenty_kills(full_data: str, tmp_path: Path) -> None:
    check_kills((*TYPED, "dataset.source=full", f"dataset.data_dir={full_data}", "training.epochs=3"), 20, tmp_path)
