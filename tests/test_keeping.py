"""Trained weights: disk space is checked first, and a failure after the training does not lose them."""

import contextlib
import errno
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from mlflow import MlflowClient

from src import console
from src.checkpointing import Checkpoints
from src.cli.compose import compose_config
from src.datasets import Dataset, load_dataset
from src.errors import NotEnoughSpace, StoreError, TrainingDiverged
from src.keeping import Keeper
from src.models import build_model
from src.process.interrupt import Interrupted
from src.schema import Config
from src.tracking import Run, open_store, start_run
from src.train import start_from
from tests.support.checkpoints import checkpoint
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services  # they train several times


class Ready(NamedTuple):
    """A network that counts as trained, and what it would be trained on."""

    model: Any
    dataset: Dataset


@pytest.fixture(scope="module")
def ready() -> Ready:
    config = compose_config(["model=dense", "dataset=synthetic", "dataset.limit=20"])
    return Ready(build_model(config.model, config.dataset.input_shape, 10), load_dataset(config.dataset))


def start(keeper: Keeper, run: Run, ready: Ready) -> None:
    keeper.open(run)
    keeper.start(*ready)


@pytest.fixture
def config(workplace: Workplace) -> Config:
    return compose_config(["model=dense", "dataset=synthetic", f"tracking.uri='{workplace.uri}'"])


def fail(
    config: Config,
    ready: Ready,
    error: BaseException,
    *,
    epochs: int = 1,
    is_finished: bool = False,
    harm: Callable[[Run], None] | None = None,
    keeper: Keeper | None = None,
) -> tuple[Run, str]:
    """Let a training fail after some epochs. Return its run, and the notes on the error that ended it."""
    runs: list[Run] = []
    keeper = keeper or Keeper(config)

    def train() -> None:
        with keeper.rescuing(), start_run(open_store(config.tracking), config) as run:
            runs.append(run)
            start(keeper, run, ready)
            for epoch in range(1, epochs + 1):
                keeper.note_epoch(epoch, {})
            if is_finished:
                keeper.finish(ready.model, {"val_accuracy": 0.5})
            if harm:
                harm(run)
            raise error

    with pytest.raises(type(error)) as caught:
        train()
    assert caught.value is error
    return runs[0], "\n".join(getattr(error, "__notes__", ()))


def model_files(workplace: Workplace) -> set[str]:
    return {path.name for path in (workplace.folder / "mlartifacts").rglob("model/*")}


def break_artifacts(run: Run) -> None:
    """Put a file in the place of the run's folder."""
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
    ("is_finished", "error"),
    [(True, RuntimeError("a bug in a picture")), (False, MemoryError()), (False, OSError(28, "full"))],
)
def test_a_run_that_fails_after_an_epoch_keeps_its_weights_and_can_be_continued(
    is_finished: bool, error: Exception, config: Config, ready: Ready, workplace: Workplace
):
    run, note = fail(config, ready, error, is_finished=is_finished)
    assert MlflowClient(workplace.uri).get_run(str(run.run_id)).info.status == "FAILED"
    assert f"training.initial_weights={run.run_id}" in note
    assert f"python -m src.evaluate run_id={run.run_id}" in note
    assert_continues_from(str(run.run_id), config, ready)
    assert not (workplace.folder / ".weights").exists()


def test_weights_that_the_run_cannot_keep_are_saved_next_to_the_store(
    config: Config, ready: Ready, workplace: Workplace
):
    run, note = fail(config, ready, StoreError("the disk"), harm=break_artifacts)
    file = workplace.folder / ".weights" / f"{run.run_id}.keras"
    assert note == (f"the trained weights are in {file}: continue from them with training.initial_weights={file}")
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert_continues_from(str(file), config, ready)


def test_the_weights_of_a_run_without_a_final_status_are_continued_from_their_file(
    config: Config, ready: Ready, workplace: Workplace
):
    error = StoreError("the store")
    run, note = fail(config, ready, error, is_finished=True, harm=break_database(workplace))
    assert f"run {run.run_id} could not be marked FAILED: it still says RUNNING\n" in note
    file = workplace.folder / "mlartifacts" / str(run.run_id) / "artifacts" / "model" / "model.keras"
    assert note.endswith(f"training.initial_weights={file}")
    assert_continues_from(str(file), config, ready)


def test_a_path_that_hydra_cannot_read_unquoted_is_quoted(ready: Ready, tmp_path: Path):
    workplace = Workplace(tmp_path / "a, b=c")
    config = compose_config(["model=dense", "dataset=synthetic", f'tracking.uri="{workplace.uri}"'])
    _, note = fail(config, ready, StoreError("the disk"), harm=break_artifacts)
    typed = note.partition("with '")[2].removesuffix("'")
    assert Path(compose_config([typed]).training.initial_weights or "").is_file()


def no_room(run: Run, *arguments: Any) -> None:
    raise StoreError(f"run {run.run_id}: there is no space left")


def test_a_trial_writes_nothing_outside_the_store(
    config: Config, ready: Ready, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("src.keeping.save_in_run", no_room)
    error, keeper = StoreError("the first one"), Keeper(config, is_trial=True)

    def finish_in_vain(run: Run) -> None:
        with contextlib.suppress(StoreError):
            keeper.finish(ready.model, {})

    run, note = fail(config, ready, error, harm=finish_in_vain, keeper=keeper)
    assert note == f"the trained weights could not be saved: run {run.run_id}: there is no space left"
    assert not (workplace.folder / ".weights").exists()


@pytest.mark.parametrize(
    ("error", "epochs", "is_trial", "overrides"),
    [
        pytest.param(TrainingDiverged("nan"), 1, False, [], id="diverged"),
        pytest.param(RuntimeError(), 0, False, [], id="failed in the first epoch"),
        pytest.param(Interrupted(15), 0, False, [], id="interrupted in the first epoch"),
        pytest.param(RuntimeError(), 1, True, [], id="a trial that failed while training"),
        pytest.param(RuntimeError(), 1, False, ["tracking.save_model=false"], id="no model is wanted"),
        pytest.param(Interrupted(15), 1, False, ["tracking.save_model=false"], id="interrupted, no model is wanted"),
        pytest.param(Interrupted(15), 1, False, ["tracking=off"], id="untracked"),
    ],
)
def test_nothing_is_saved(
    error: BaseException, epochs: int, is_trial: bool, overrides: list[str], ready: Ready, workplace: Workplace
):
    config = compose_config(["model=dense", "dataset=synthetic", *overrides[:1], f"tracking.uri='{workplace.uri}'"])
    _, note = fail(config, ready, error, epochs=epochs, keeper=Keeper(config, is_trial))
    assert note == ""
    assert not list(workplace.folder.rglob("*.keras"))


@pytest.mark.parametrize("is_trial", [False, True])
def test_an_interrupted_training_keeps_its_last_epoch(
    is_trial: bool, config: Config, ready: Ready, workplace: Workplace, capsys: pytest.CaptureFixture[str]
):
    run, _ = fail(config, ready, Interrupted(15), keeper=Keeper(config, is_trial))
    assert MlflowClient(workplace.uri).get_run(str(run.run_id)).info.status == "KILLED"
    assert model_files(workplace) == {"model.keras", "manifest.json"}
    said = f"continue from the weights of the run with training.initial_weights={run.run_id}" in capsys.readouterr().out
    assert said != is_trial  # a sweep continues its trials
    assert_continues_from(str(run.run_id), config, ready)


@pytest.mark.parametrize("is_trial", [False, True])  # nothing reads that of a trial
def test_the_checkpoint_of_an_interrupted_training_is_uploaded_and_that_of_a_trial_is_not(
    is_trial: bool, config: Config, ready: Ready, workplace: Workplace
):
    config.training.checkpoint_upload = True
    checkpoints = Checkpoints(workplace.folder / "checkpoints", "key", 0, latest=checkpoint(1))
    run, _ = fail(config, ready, Interrupted(15), keeper=Keeper(config, is_trial, checkpoints=checkpoints))
    assert run.folder is not None
    assert (run.folder / "checkpoint").exists() != is_trial


def test_a_terminal_that_was_closed_does_not_prevent_saving(
    config: Config, ready: Ready, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
):
    def say(text: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(console, "say", say)
    fail(config, ready, Interrupted(1))
    assert model_files(workplace) == {"model.keras", "manifest.json"}


def test_a_checkpoint_that_cannot_be_written_does_not_replace_the_interruption(
    config: Config, ready: Ready, workplace: Workplace
):
    def say(text: str) -> None:
        raise OSError(errno.EIO, "Input/output error")  # the terminal was closed

    (workplace.folder / "file").touch()
    checkpoints = Checkpoints(workplace.folder / "file", "key", 0, report=say, latest=checkpoint(1))
    fail(config, ready, Interrupted(1), keeper=Keeper(config, checkpoints=checkpoints))
    assert model_files(workplace) == {"model.keras", "manifest.json"}


def test_an_interrupted_training_whose_weights_cannot_be_saved_says_so(
    config: Config, ready: Ready, capsys: pytest.CaptureFixture[str]
):
    fail(config, ready, Interrupted(2), harm=break_artifacts)
    assert "the weights could not be saved: StoreError: run " in capsys.readouterr().out


# --- the model of a training that finished -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "is_worth_it", "files"),
    [
        ([], None, {"model.keras", "model.h5", "saved_model", "manifest.json"}),
        (["tracking.detail=light"], True, {"model.keras", "manifest.json"}),
        (["tracking.detail=light"], False, set()),
        (["tracking.save_model=false"], True, set()),
    ],
)
def test_the_model_is_saved_if_it_is_wanted_and_worth_it(
    overrides: list[str], is_worth_it: bool | None, files: set[str], ready: Ready, workplace: Workplace
):
    config = compose_config(["model=dense", "dataset=synthetic", f"tracking.uri='{workplace.uri}'", *overrides])
    asked: list[Mapping[str, float]] = []

    def is_worth_keeping(metrics: Mapping[str, float]) -> bool:
        asked.append(metrics)
        return bool(is_worth_it)

    keeper = Keeper(config, worth_keeping=None if is_worth_it is None else is_worth_keeping)
    with keeper.rescuing(), start_run(open_store(config.tracking), config) as run:
        start(keeper, run, ready)
        keeper.finish(ready.model, {"val_accuracy": 0.5})
    assert {path.name for path in (Path(str(run.folder)) / "model").glob("*")} == files
    assert keeper.is_kept == bool(files)
    assert asked == ([{"val_accuracy": 0.5}] if is_worth_it is not None and keeper.is_wanted else [])


def test_a_model_that_is_not_worth_keeping_is_not_rescued(config: Config, ready: Ready, workplace: Workplace):
    keeper = Keeper(config, is_trial=True, worth_keeping=lambda metrics: False)
    _, note = fail(config, ready, RuntimeError(), is_finished=True, keeper=keeper)
    assert note == ""
    assert not list(workplace.folder.rglob("*.keras"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError()])
def test_a_failed_training_saves_its_weights_before_it_records_what_waited(
    error: BaseException, config: Config, ready: Ready, workplace: Workplace
):
    keeper = Keeper(config)
    saved: list[set[str]] = []
    keeper.record_interruption = lambda: saved.append(model_files(workplace))
    fail(config, ready, error, keeper=keeper)
    assert saved == [{"manifest.json", "model.keras"}]


def test_a_training_that_diverged_records_what_waited(config: Config, ready: Ready):
    keeper = Keeper(config)
    recorded: list[bool] = []
    keeper.record_interruption = lambda: recorded.append(True)
    fail(config, ready, TrainingDiverged(), keeper=keeper)
    assert recorded == [True]


@pytest.mark.parametrize("error", [TrainingDiverged(), RuntimeError()])
@pytest.mark.parametrize(("is_trial", "raised"), [(False, None), (True, KeyboardInterrupt)])
def test_a_signal_while_pictures_are_sent_interrupts_a_trial_and_hides_no_other_error(
    error: Exception, is_trial: bool, raised: type[BaseException] | None, config: Config
):
    def interrupt() -> None:
        raise KeyboardInterrupt

    keeper = Keeper(config, is_trial=is_trial)
    keeper.record_interruption = interrupt
    with pytest.raises(raised or type(error)), keeper.rescuing():
        raise error


# --- room for the model --------------------------------------------------------------------------------------------


def free_space(monkeypatch: pytest.MonkeyPatch, free: int) -> list[Path]:
    """Give every disk this much free space; return a list of the folders that are asked about."""
    asked: list[Path] = []

    def usage(folder: Path) -> Any:
        asked.append(folder)
        return shutil._ntuple_diskusage(free, 0, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return asked


@pytest.mark.parametrize(("detail", "needed"), [("full", 3_500_000), ("light", 1_400_000)])
def test_a_disk_without_room_for_the_model_is_refused(
    detail: str, needed: int, config: Config, ready: Ready, monkeypatch: pytest.MonkeyPatch
):
    config.tracking.detail = detail
    with start_run(open_store(config.tracking), config) as run:
        asked = free_space(monkeypatch, needed)
        with pytest.raises(
            NotEnoughSpace, match=r"saving dense needs .* MB .* are free in /.*save_model=false"
        ) as caught:
            start(Keeper(config), run, ready)
        assert asked == [run.folder]
        assert "set tracking.uri to a place" in str(caught.value)
        free_space(monkeypatch, 2 * needed)
        start(Keeper(config), run, ready)


@pytest.mark.parametrize(
    ("formats", "files", "models"),
    [(["keras"], set(), 0), (["mlflow", "keras"], set(), 1), (["keras", "h5"], {"model.h5"}, 0)],
)
def test_a_finished_training_keeps_the_formats_that_are_asked_for(
    formats: list[str], files: set[str], models: int, config: Config, ready: Ready, workplace: Workplace
):
    config.tracking.formats = formats
    keeper = Keeper(config)
    with start_run(open_store(config.tracking), config) as run:
        start(keeper, run, ready)
        keeper.finish(ready.model, {"val_accuracy": 0.5})
        keeper.log_model(step=1)
    assert model_files(workplace) == {"model.keras", "manifest.json", *files}
    assert len(MlflowClient(workplace.uri).search_logged_models([run.experiment_id])) == models


@pytest.mark.parametrize("formats", [["keras"], ["keras", "h5", "saved_model"]])
def test_fewer_formats_need_less_room(
    formats: list[str], config: Config, ready: Ready, monkeypatch: pytest.MonkeyPatch
):
    config.tracking.formats = formats
    with start_run(open_store(config.tracking), config) as run:
        free_space(monkeypatch, 3_500_000)  # too little for all
        start(Keeper(config), run, ready)


def test_for_a_server_the_room_for_temporary_files_is_checked(
    config: Config, ready: Ready, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Run, "folder", None)
    with start_run(open_store(config.tracking), config) as run:
        asked = free_space(monkeypatch, 1_000_000)
        with pytest.raises(NotEnoughSpace, match="set TMPDIR to a folder with more space"):
            start(Keeper(config), run, ready)
    assert asked == [tmp_path]


def test_without_tracking_no_room_is_needed(ready: Ready, monkeypatch: pytest.MonkeyPatch):
    config = compose_config(["tracking=off"])
    asked = free_space(monkeypatch, 0)
    with start_run(open_store(config.tracking), config) as run:
        start(Keeper(config), run, ready)
    assert asked == []
