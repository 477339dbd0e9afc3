"""Trainings that are interrupted at a chosen epoch, and commands that resume them."""

import contextlib
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow import MlflowClient

from src import train
from src.cli.compose import compose_config
from src.keeping import Keeper
from src.process.interrupt import Interrupted
from tests.support.workplace import Workplace

SIZES = ("dataset=synthetic", "dataset.train_size=96", "dataset.test_size=20", "dataset.validation_size=20")
SMALL = (*SIZES, "model=dense", "model.dense=[4]", "model.dropout=0.2", "training.epochs=4", "training.batch_size=24")
LIGHT = (*SMALL, "tracking.detail=light", "training.deterministic=true")
STOPPED_AFTER = 2
GONE = "999999 at tick 1 of boot gone, namespace 1"  # the name of a process that has ended


class Answer(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Typed = Callable[..., Answer]  # a command with its arguments


@contextlib.contextmanager
def stopping(epoch: int = STOPPED_AFTER, name: str = "note_epoch") -> Iterator[None]:
    """Interrupt a training after an epoch, or before a step of its end."""
    original = getattr(Keeper, name)

    def interrupting(keeper: Keeper, *arguments: object, **named: object) -> None:
        if name != "note_epoch" or arguments[0] == epoch:
            raise Interrupted(signal.SIGTERM)
        original(keeper, *arguments, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Keeper, name, interrupting)
        yield


def interrupt(place: Workplace, *overrides: str, epoch: int = STOPPED_AFTER, name: str = "note_epoch") -> str:
    """A training that is interrupted; returns the id of its run."""
    with stopping(epoch, name), pytest.raises(Interrupted):
        train.train(compose_config([f"tracking.uri='{place.uri}'", *overrides]))
    return runs_of(place)[0]


def runs_of(place: Workplace) -> list[str]:
    """The ids of the runs, the newest first."""
    client = MlflowClient(place.uri)
    return [run.info.run_id for run in client.search_runs(["1"])]


class Interruption(NamedTuple):
    """A store with one interrupted run."""

    place: Workplace
    run_id: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.place.uri)

    @property
    def folder(self) -> Path:
        return self.place.folder / "checkpoints" / self.run_id

    @property
    def artifacts(self) -> Path:
        return self.place.folder / "mlartifacts" / self.run_id / "artifacts"

    @property
    def record(self) -> object:
        """Everything in the run that a refused command may not change."""
        run = self.client.get_run(self.run_id)
        paths = sorted(path for path in self.place.folder.rglob("*") if path.is_file())
        files = [(path, path.stat().st_mtime_ns) for path in paths if "mlflow.db" not in path.name]
        return run.to_dictionary(), files, {name: self.points(name) for name in run.data.metrics}

    def points(self, metric: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in self.client.get_metric_history(self.run_id, metric)]

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """The points of every metric that does not measure time."""
        names = self.client.get_run(self.run_id).data.metrics
        return {name: self.points(name) for name in names if not re.match("epoch_sec|images_per|checkpoint/", name)}


def assert_refused(interrupted: Interruption, typed: Typed, reason: str, *arguments: str, code: int = 1) -> None:
    """The command says why it does nothing, in one sentence, and nothing has changed."""
    before = interrupted.record
    answer = typed(interrupted.place, f"resume={interrupted.run_id}", *arguments)
    assert answer.code == code, answer
    assert answer.err.count("\n") == 1
    assert re.search(reason, answer.err), answer.err
    assert interrupted.record == before
