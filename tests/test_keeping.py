"""Trained weights: disk space is checked first, and a failure after the training does not lose them."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from mlflow import MlflowClient

from src import saving
from src.cli.compose import compose_config
from src.datasets import Dataset, load_dataset
from src.errors import NotEnoughSpace, StoreError, TrainingDiverged
from src.keeping import check_space, keep_model, weights_rescued
from src.models import build_model
from src.schema import Config
from src.tracking import Run, open_store, start_run
from src.train import start_from
from tests.support.workplace import Workplace


class Ready(NamedTuple):
    """A network that counts as trained, and what it would be trained on."""

    model: Any
    dataset: Dataset


@pytest.fixture(scope="module")
def ready() -> Ready:
    config = compose_config(["model=dense", "dataset=synthetic", "dataset.limit=20"])
    return Ready(build_model(config.model, config.dataset.input_shape, 10), load_dataset(config.dataset))


@pytest.fixture
def config(workplace: Workplace) -> Config:
    return compose_config(["model=dense", "dataset=synthetic", f"tracking.uri='{workplace.uri}'"])


def fail_after_training(
    config: Config,
    ready: Ready,
    error: Exception,
    *,
    keeps: bool,
    harm: Callable[[Run], None],
    only_in_run: bool = False,
) -> tuple[Run, str]:
    """The run, and the notes on the error that ended it."""
    runs: list[Run] = []

    def train() -> None:
        store = open_store(config.tracking)
        with weights_rescued(config, only_in_run) as trained, start_run(store, config) as run:
            runs.append(run)
            trained.set(run, *ready)
            if keeps:
                keep_model(run, *ready, saving.FORMATS[:1])
                trained.is_kept = True
            harm(run)
            raise error

    with pytest.raises(type(error)) as caught:
        train()
    assert caught.value is error
    return runs[0], "\n".join(getattr(error, "__notes__", ()))


def no_harm(run: Run) -> None:
    """Nothing else is wrong."""


def break_artifacts(run: Run) -> None:
    """A file where the folder of the run's files was."""
    assert run.folder is not None
    shutil.rmtree(run.folder)
    run.folder.touch()


def break_database(workplace: Workplace) -> Callable[[Run], None]:
    def drop(run: Run) -> None:
        with contextlib.closing(sqlite3.connect(workplace.folder / "mlflow.db")) as database, database:
            database.execute("ALTER TABLE runs RENAME TO gone")

    return drop


def assert_continues_from(name: str, config: Config, ready: Ready) -> None:
    fresh = build_model(config.model, config.dataset.input_shape, 10)
    start_from(name, fresh, config)
    for ours, theirs in zip(fresh.get_weights(), ready.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("keeps", "error"),
    [(True, RuntimeError("a bug in a picture")), (False, MemoryError()), (False, OSError(28, "full"))],
)
def test_a_run_that_fails_after_training_keeps_its_weights_and_can_be_continued(
    keeps: bool, error: Exception, config: Config, ready: Ready, workplace: Workplace
):
    run, note = fail_after_training(config, ready, error, keeps=keeps, harm=no_harm)
    assert MlflowClient(workplace.uri).get_run(str(run.run_id)).info.status == "FAILED"
    assert f"training.initial_weights={run.run_id}" in note
    assert f"python -m src.evaluate run_id={run.run_id}" in note
    assert_continues_from(str(run.run_id), config, ready)
    assert not (workplace.folder / ".weights").exists()


def test_weights_that_the_run_cannot_keep_are_saved_next_to_the_store(
    config: Config, ready: Ready, workplace: Workplace
):
    run, note = fail_after_training(config, ready, StoreError("the disk"), keeps=False, harm=break_artifacts)
    file = workplace.folder / ".weights" / f"{run.run_id}.keras"
    assert note == (f"the trained weights are kept in {file}: continue from them with training.initial_weights={file}")
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert_continues_from(str(file), config, ready)


def test_the_weights_of_a_run_without_a_final_status_are_continued_from_their_file(
    config: Config, ready: Ready, workplace: Workplace
):
    error = StoreError("the store")
    run, note = fail_after_training(config, ready, error, keeps=True, harm=break_database(workplace))
    assert f"run {run.run_id} could not be marked FAILED: it still says RUNNING\n" in note
    file = workplace.folder / "mlartifacts" / str(run.run_id) / "artifacts" / "model" / "model.keras"
    assert note.endswith(f"training.initial_weights={file}")
    assert_continues_from(str(file), config, ready)


def test_a_path_that_hydra_could_not_read_is_quoted(ready: Ready, tmp_path: Path):
    workplace = Workplace(tmp_path / "a, b=c")
    config = compose_config(["model=dense", "dataset=synthetic", f'tracking.uri="{workplace.uri}"'])
    _, note = fail_after_training(config, ready, StoreError("the disk"), keeps=False, harm=break_artifacts)
    typed = note.partition("with '")[2].removesuffix("'")
    assert Path(compose_config([typed]).training.initial_weights or "").is_file()


def test_a_trial_writes_nothing_outside_the_store(config: Config, ready: Ready, workplace: Workplace):
    error = StoreError("the disk")
    _, note = fail_after_training(config, ready, error, keeps=False, harm=break_artifacts, only_in_run=True)
    assert note.startswith("the trained weights could not be saved: run ")
    assert not (workplace.folder / ".weights").exists()


def test_a_diverged_training_keeps_nothing(config: Config, ready: Ready, workplace: Workplace):
    run, note = fail_after_training(config, ready, TrainingDiverged("nan"), keeps=False, harm=no_harm)
    assert note == ""
    assert not (workplace.folder / "mlartifacts" / str(run.run_id) / "artifacts" / "model").exists()


def test_without_save_model_a_failed_run_keeps_no_model_either(config: Config, ready: Ready, workplace: Workplace):
    config.tracking.save_model = False
    _, note = fail_after_training(config, ready, RuntimeError(), keeps=False, harm=no_harm)
    assert note == ""
    assert not list(workplace.folder.rglob("*.keras"))


# --- room for the model --------------------------------------------------------------------------------------------


def free_space(monkeypatch: pytest.MonkeyPatch, free: int) -> list[Path]:
    """Gives every disk this much free space; the list holds the folders that were asked about."""
    asked: list[Path] = []

    def usage(folder: Path) -> Any:
        asked.append(folder)
        return shutil._ntuple_diskusage(free, 0, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return asked


@pytest.mark.parametrize(("is_light", "needed"), [(False, 3_500_000), (True, 1_400_000)])
def test_a_disk_without_room_for_the_model_is_refused(
    is_light: bool, needed: int, config: Config, ready: Ready, monkeypatch: pytest.MonkeyPatch
):
    with start_run(open_store(config.tracking), config) as run:
        asked = free_space(monkeypatch, needed)
        with pytest.raises(
            NotEnoughSpace, match=r"saving dense needs .* MB .* are free in /.*save_model=false"
        ) as caught:
            check_space(run, ready.model, is_light)
        assert asked == [run.folder]
        assert "set tracking.uri to a place" in str(caught.value)
        free_space(monkeypatch, 2 * needed)
        check_space(run, ready.model, is_light)


def test_for_a_server_the_room_for_temporary_files_is_checked(
    config: Config, ready: Ready, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Run, "folder", None)
    with start_run(open_store(config.tracking), config) as run:
        asked = free_space(monkeypatch, 1_000_000)
        with pytest.raises(NotEnoughSpace, match="set TMPDIR to a folder with more space"):
            check_space(run, ready.model, is_light=False)
    assert asked == [tmp_path]


def test_without_tracking_no_room_is_needed(ready: Ready, monkeypatch: pytest.MonkeyPatch):
    config = compose_config(["tracking=off"])
    asked = free_space(monkeypatch, 0)
    with start_run(open_store(config.tracking), config) as run:
        check_space(run, ready.model, is_light=False)
    assert asked == []
