"""`resume=RUN`: an interrupted training continues in its own run, or one sentence says why it cannot."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from mlflow import MlflowClient

from src import checkpoints, train
from src.checkpoints import manifests, newest
from src.cli.compose import compose_config
from src.errors import StoreError
from src.keeping import Keeper
from src.process.interrupt import Interrupted
from src.resuming import Resumption
from src.tracking import CHANGED, RESUMED, open_store
from src.tracking.resuming import take_over
from src.tracking.tags import EPOCHS, FINGERPRINT, HOST, PLANNED, PROCESS
from tests.support.extensions import write_files
from tests.support.workplace import Workplace, copy_of

pytestmark = pytest.mark.services  # they train several times

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


Typed = Callable[..., Answer]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signals_are_ours: None) -> Typed:
    """Runs `python -m src.train` in this process, on the store in the working folder of a workplace."""

    def run(place: Workplace, *arguments: str) -> Answer:
        monkeypatch.chdir(place.folder)
        monkeypatch.setenv("COLUMNS", "300")
        # MLflow identifies a store by its address, so a relative one would lead to the store of an earlier test.
        given = (
            []
            if any(re.match(r"tracking(=|.uri|.enabled)", word) for word in arguments)
            else [f"tracking.uri='{place.uri}'"]
        )
        monkeypatch.setattr("sys.argv", ["src.train", *arguments, *given])
        capsys.readouterr()
        code = 0
        try:
            train.main()
        except SystemExit as error:
            code = int(error.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


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


@pytest.fixture(scope="module")
def interrupted_once(tmp_path_factory: pytest.TempPathFactory) -> Interruption:
    place = Workplace(tmp_path_factory.mktemp("interrupted"))
    return Interruption(place, interrupt(place, *LIGHT))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Interruption:
    """The same training without an interruption."""
    place = Workplace(tmp_path_factory.mktemp("whole"))
    train.train(compose_config([f"tracking.uri='{place.uri}'", *LIGHT]))
    return Interruption(place, runs_of(place)[0])


@pytest.fixture
def interrupted(interrupted_once: Interruption, tmp_path: Path) -> Interruption:
    """A copy of the interrupted run and its store, to do harm to."""
    return Interruption(copy_of(interrupted_once.place, tmp_path / "copy"), interrupted_once.run_id)


def assert_refused(interrupted: Interruption, typed: Typed, reason: str, *arguments: str, code: int = 1) -> None:
    """The command says why it does nothing, in one sentence, and nothing has changed."""
    before = interrupted.record
    answer = typed(interrupted.place, f"resume={interrupted.run_id}", *arguments)
    assert answer.code == code, answer
    assert answer.err.count("\n") == 1
    assert re.search(reason, answer.err), answer.err
    assert interrupted.record == before


# --- resumed --------------------------------------------------------------------------------------------------------


def test_an_interrupted_training_says_how_to_resume_it(workplace: Workplace, typed: Typed) -> None:
    with stopping():
        answer = typed(workplace, *LIGHT)
    assert answer.code == 143
    (run_id,) = runs_of(workplace)
    assert answer.out.splitlines()[-1].startswith(f"resume with: python -m src.train resume={run_id}")
    assert MlflowClient(workplace.uri).get_run(run_id).info.status == "KILLED"
    assert list(manifests(workplace.folder / "checkpoints" / run_id)) == [STOPPED_AFTER]


def test_without_checkpoints_an_interrupted_training_names_its_weights(workplace: Workplace, typed: Typed) -> None:
    with stopping():
        answer = typed(workplace, *LIGHT, "training.checkpoint_minutes=null")
    (run_id,) = runs_of(workplace)
    assert answer.out.splitlines()[-1] == (
        "there is no checkpoint (training.checkpoint_minutes=null); continue from the weights of the run with "
        f"training.initial_weights={run_id}"
    )
    assert not (workplace.folder / "checkpoints").exists()


def test_a_network_that_is_too_large_to_be_held_in_memory_has_a_checkpoint_when_it_is_stopped(
    workplace: Workplace, whole: Interruption, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MAX_HELD", 0)
    with stopping(3):  # the keeper has noted two epochs
        answer = typed(workplace, *LIGHT)
    (run_id,) = runs_of(workplace)
    last = max(manifests(workplace.folder / "checkpoints" / run_id))
    is_last_said = f"the last checkpoint is that of epoch {last}; later epochs are trained again" in answer.out
    assert is_last_said == (last < 2)
    assert f"resume with: python -m src.train resume={run_id}" in answer.out
    assert typed(workplace, f"resume={run_id}").code == 0
    assert {name: dict(points) for name, points in Interruption(workplace, run_id).curves().items()} == {
        name: dict(points) for name, points in whole.curves().items()
    }


def test_a_trial_of_such_a_network_writes_the_epoch_with_which_its_sweep_stops(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MAX_HELD", 0)
    seen: list[int] = []

    def stop_after_three(epoch: int, metrics: dict[str, float]) -> None:
        seen.append(epoch)
        if epoch == 3:
            raise Interrupted(signal.SIGTERM)

    chain = Resumption(key="trial-abc-0", on_change="restart", is_stopping=lambda: len(seen) == 2)
    config = compose_config([f"tracking.uri='{workplace.uri}'", *LIGHT])
    with pytest.raises(Interrupted):
        train.train(config, observers=[stop_after_three], resumption=chain)
    assert max(manifests(workplace.folder / "checkpoints" / "trial-abc-0")) == 3


def test_a_resumed_run_is_the_uninterrupted_one(interrupted: Interruption, whole: Interruption, typed: Typed) -> None:
    answer = typed(interrupted.place, f"resume={interrupted.run_id}")
    assert answer.code == 0, answer.err
    assert f"resuming after epoch {STOPPED_AFTER} of 4" in answer.out
    assert re.findall(r"^epoch (\d)/4", answer.out, re.MULTILINE) == ["3", "4"]
    assert interrupted.curves() == whole.curves()
    run, expected = (one.client.get_run(one.run_id) for one in (interrupted, whole))
    assert run.info.status == "FINISHED"
    assert dict(run.data.params, **{"tracking.uri": ""}) == dict(expected.data.params, **{"tracking.uri": ""})
    assert run.data.tags[RESUMED] == str(STOPPED_AFTER)
    assert run.data.tags["mlflow.note.content"] == expected.data.tags["mlflow.note.content"]
    assert runs_of(interrupted.place) == [interrupted.run_id]
    assert not interrupted.folder.parent.exists()


@pytest.mark.parametrize("epoch", [1, 4])
def test_a_resumed_run_can_be_interrupted_and_resumed_again(
    epoch: int, interrupted: Interruption, whole: Interruption, typed: Typed
) -> None:
    with stopping(3):
        assert typed(interrupted.place, f"resume={interrupted.run_id}").code == 143
    with stopping(3):  # by the epoch that is shown again
        assert typed(interrupted.place, f"resume={interrupted.run_id}").code == 143
    assert typed(interrupted.place, f"resume={interrupted.run_id}").code == 0
    assert interrupted.client.get_run(interrupted.run_id).data.tags[RESUMED] == "2, 3, 3"
    assert interrupted.curves() == whole.curves()


@pytest.mark.parametrize("step", ["finish", "log_model"])
def test_a_run_that_is_interrupted_after_its_last_epoch_is_not_trained_again(
    step: str, workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, name=step))
    answer = typed(workplace, f"resume={interrupted.run_id}")
    assert answer.code == 0, answer.err
    assert interrupted.curves() == whole.curves()


def test_a_model_that_was_logged_before_the_interruption_is_not_logged_again(
    workplace: Workplace, typed: Typed
) -> None:
    original = Keeper.log_model
    with pytest.MonkeyPatch.context() as patched:

        def interrupting(keeper: Keeper, step: int) -> None:
            original(keeper, step)
            raise Interrupted(signal.SIGTERM)

        patched.setattr(Keeper, "log_model", interrupting)
        with pytest.raises(Interrupted):
            train.train(compose_config([f"tracking.uri='{workplace.uri}'", *SMALL, "training.epochs=1"]))
    client, (run_id,) = MlflowClient(workplace.uri), runs_of(workplace)
    (before,) = client.search_logged_models(["1"])
    assert typed(workplace, f"resume={run_id}").code == 0
    (after,) = client.search_logged_models(["1"])
    assert (after.model_id, str(after.status)) == (before.model_id, "READY")
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_logged_model_with_other_weights_is_replaced(workplace: Workplace, typed: Typed) -> None:
    run_id = interrupt(workplace, *SMALL, "training.epochs=1", name="finish")
    original = Keeper.log_model
    with pytest.MonkeyPatch.context() as patched:

        def changing(keeper: Keeper, step: int) -> None:
            weights = keeper.model.get_weights()
            keeper.model.set_weights([weight * 0.5 for weight in weights])
            original(keeper, step)
            keeper.model.set_weights(weights)
            raise Interrupted(signal.SIGTERM)

        patched.setattr(Keeper, "log_model", changing)
        assert typed(workplace, f"resume={run_id}").code == 143
    client = MlflowClient(workplace.uri)
    (before,) = client.search_logged_models(["1"])
    assert typed(workplace, f"resume={run_id}").code == 0
    (after,) = client.search_logged_models(["1"])
    assert after.model_id != before.model_id


def test_more_epochs_can_be_typed(interrupted: Interruption, whole: Interruption, typed: Typed) -> None:
    answer = typed(interrupted.place, f"resume={interrupted.run_id}", "training.epochs=5", "tags.owner=ada")
    assert answer.code == 0, answer.err
    assert [step for step, _ in interrupted.points("loss")] == [1, 2, 3, 4, 5]
    assert interrupted.points("loss")[:4] == whole.points("loss")
    tags = interrupted.client.get_run(interrupted.run_id).data.tags
    assert (tags[EPOCHS], tags["owner"]) == ("5", "ada")


def test_places_can_be_typed(interrupted: Interruption, whole: Interruption, typed: Typed, tmp_path: Path) -> None:
    shutil.move(interrupted.folder.parent, tmp_path / "moved")
    arguments = [f"training.checkpoint_dir={tmp_path / 'moved'}", "training.checkpoint_minutes=0"]
    answer = typed(interrupted.place, f"resume={interrupted.run_id}", *arguments)
    assert answer.code == 0, answer.err
    assert interrupted.curves() == whole.curves()


def test_the_printed_command_finds_the_checkpoint_from_another_folder(
    workplace: Workplace, whole: Interruption, typed: Typed, tmp_path: Path
) -> None:
    here, elsewhere = Workplace(tmp_path / "here"), Workplace(tmp_path / "elsewhere")
    here.folder.mkdir()
    elsewhere.folder.mkdir()
    with stopping():
        answer = typed(here, *LIGHT, f"tracking.uri='{workplace.uri}'", "training.checkpoint_dir=mine")
    interrupted = Interruption(workplace, runs_of(workplace)[0])
    command = answer.out.splitlines()[-1].removeprefix("resume with: python -m src.train ")
    again = typed(elsewhere, *shlex.split(command))
    assert again.code == 0, again.err
    assert f"resuming after epoch {STOPPED_AFTER}" in again.out
    assert interrupted.curves() == whole.curves()
    assert not (here.folder / "mine").exists()


NOISE = """
from dataclasses import dataclass
from src.schema import AugmentationConfig

@dataclass(kw_only=True)
class NoiseConfig(AugmentationConfig, kind="noise", builds="mine:build_noise"):
    pass

def build_noise(config, seed):
    import keras
    import tensorflow as tf

    generator = keras.random.SeedGenerator(seed)

    def augment(images):
        noise = keras.random.normal(tf.shape(images), stddev=30.0, seed=generator)
        return tf.cast(tf.clip_by_value(tf.cast(images, tf.float32) + noise, 0, 255), tf.uint8)

"""
SET, UNSET = "    augment.generators = [generator]\n    return augment\n", "    return augment\n"
NOISY = "defaults:\n  - /schema/augmentation/noise@_here_\n  - _self_\nname: noise\n"


@pytest.mark.usefixtures("extensions_forgotten")
@pytest.mark.parametrize(("end", "is_exact"), [(SET, True), (UNSET, False)])
def test_an_augmentation_of_an_extension_is_resumed_exactly_or_a_line_says_how(
    end: str, is_exact: bool, workplace: Workplace, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(workplace.folder)
    write_files(workplace.folder, {"mine.py": NOISE + end, "conf/augmentation/noise.yaml": NOISY})
    noisy = (*LIGHT, "extensions=[mine]", "augmentation=noise")
    whole = Workplace(workplace.folder / "whole")
    whole.folder.mkdir()
    assert typed(whole, *noisy).code == 0
    with stopping():
        typed(workplace, *noisy)
    interrupted = Interruption(workplace, runs_of(workplace)[0])
    answer = typed(workplace, f"resume={interrupted.run_id}", "extensions=[mine]")
    assert answer.code == 0, answer.err
    assert ("that mine:build_noise returns has no attribute `generators`" in answer.out) != is_exact
    assert (interrupted.curves() == Interruption(whole, runs_of(whole)[0]).curves()) == is_exact


def test_a_run_that_was_interrupted_before_its_first_checkpoint_starts_with_the_first_epoch(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, name="start"))
    answer = typed(workplace, f"resume={interrupted.run_id}")
    assert answer.code == 0, answer.err
    assert "resuming from the first epoch, because there is no checkpoint" in answer.out
    assert interrupted.curves() == whole.curves()


def test_initial_weights_are_not_needed_again(workplace: Workplace, typed: Typed) -> None:
    train.train(compose_config([f"tracking.uri='{workplace.uri}'", *LIGHT, "tracking.run_name=first"]))
    weights = workplace.folder / "w.keras"
    shutil.copy(next(workplace.folder.glob("mlartifacts/*/artifacts/model/model.keras")), weights)
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, f"training.initial_weights={weights}"))
    weights.unlink()
    answer = typed(workplace, f"resume={interrupted.run_id}")
    assert answer.code == 0, answer.err
    run = interrupted.client.get_run(interrupted.run_id)
    assert run.data.tags[FINGERPRINT] == run.data.tags[PLANNED]


def test_a_run_that_was_resumed_with_other_code_is_not_reused(
    interrupted: Interruption, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.tracking.reuse.result_code_digest", lambda: "other")
    assert typed(interrupted.place, f"resume={interrupted.run_id}", "on_change=continue").code == 0
    assert FINGERPRINT not in interrupted.client.get_run(interrupted.run_id).data.tags


def test_a_run_without_a_checkpoint_is_not_started_again_with_other_code_unless_that_is_accepted(
    workplace: Workplace, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, name="start"))
    monkeypatch.setattr("src.tracking.reuse.result_code_digest", lambda: "other")
    assert_refused(interrupted, typed, "has no checkpoint, and settings, code or data were changed since it began")
    assert typed(workplace, f"resume={interrupted.run_id}", "on_change=continue").code == 0


def test_a_run_whose_process_was_killed_is_resumed(interrupted: Interruption, typed: Typed) -> None:
    interrupted.client.set_tag(interrupted.run_id, PROCESS, GONE)
    interrupted.client.update_run(interrupted.run_id, status="RUNNING")
    assert typed(interrupted.place, f"resume={interrupted.run_id}").code == 0


def test_a_failure_does_not_lose_the_checkpoint(
    interrupted: Interruption, whole: Interruption, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Keeper, "start", lambda *_: (_ for _ in ()).throw(MemoryError("too large")))
        assert typed(interrupted.place, f"resume={interrupted.run_id}").code == 1
    failed = interrupted.client.get_run(interrupted.run_id)
    assert (failed.info.status, failed.data.tags["error"]) == ("FAILED", "MemoryError: too large")
    assert typed(interrupted.place, f"resume={interrupted.run_id}").code == 0
    assert interrupted.curves() == whole.curves()
    assert "error" not in interrupted.client.get_run(interrupted.run_id).data.tags


def test_a_damaged_checkpoint_costs_one_epoch_and_a_warning(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, "training.checkpoint_minutes=0", epoch=3))
    os.truncate(interrupted.folder / "variables-00003.npy", 50)
    answer = typed(workplace, f"resume={interrupted.run_id}")
    assert answer.code == 0, answer.err
    assert "a newer checkpoint in" in answer.out
    assert "resuming after epoch 2 of 4" in answer.out
    assert interrupted.curves() == whole.curves()


def test_an_uploaded_checkpoint_is_used_where_the_folder_is_gone(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, "training.checkpoint_upload=true"))
    assert list(manifests(interrupted.artifacts / "checkpoint")) == [STOPPED_AFTER]
    shutil.rmtree(interrupted.folder.parent)
    with stopping(3):
        assert typed(workplace, f"resume={interrupted.run_id}").code == 143
    assert list(manifests(interrupted.folder)) == [3]
    assert typed(workplace, f"resume={interrupted.run_id}").code == 0
    assert interrupted.client.get_run(interrupted.run_id).data.tags[RESUMED] == "2, 3"
    assert interrupted.curves() == whole.curves()


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["model=lenot"], "model=lenot: a resumed run keeps its own settings; remove `model=lenot`"),
        (["optimizer.learning_rate=1"], "optimizer.learning_rate=1: a resumed run keeps its own settings"),
        (["seed=2"], "seed=2: a resumed run keeps its own settings"),
        (["+training.x=1"], "a resumed run keeps its own settings"),
        (["training.epochs=3"], "training.epochs=3: the run was started with 4; it can only be resumed with more"),
        (["training.epochs=many"], "training.epochs"),
        (["training.checkpoint_minutes=-1"], "training.checkpoint_minutes"),
        (["training.checkpoint_dir=mlflow.db"], "training.checkpoint_dir: .*mlflow.db is a file, not a folder"),
        (
            ["dataset.data_dir=x"],
            "the run has no key 'dataset.data_dir', and dataset has no paths; remove `dataset.data_dir=x`",
        ),
        (["tracking.run_name=x"], "a resumed run keeps its name and its experiment; remove `tracking.run_name=x`"),
        (["tracking.experiment=x"], "a resumed run keeps its name and its experiment; remove `tracking.experiment=x`"),
        (["on_change=maybe"], "on_change"),
        (["training.epochs=3,4"], "training.epochs"),
    ],
)
def test_what_a_resumed_run_cannot_change_is_refused(
    arguments: list[str], reason: str, interrupted: Interruption, typed: Typed
) -> None:
    assert_refused(interrupted, typed, reason, *arguments, code=2)


def test_more_epochs_are_refused_if_the_schedule_depends_on_them(workplace: Workplace, typed: Typed) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, "schedule=cosine"))
    reason = "training.epochs=5: schedule=cosine depends on the number of epochs, 4; remove `training.epochs=5`"
    assert_refused(interrupted, typed, reason, "training.epochs=5", code=2)


@pytest.mark.parametrize(
    ("status", "tags", "reason"),
    [
        ("FINISHED", {}, "is finished, so nothing is left to resume; .*training.initial_weights="),
        ("RUNNING", {}, "is still RUNNING: a process of this machine trains it; wait for its end$"),
        (
            "RUNNING",
            {HOST: "elsewhere", PROCESS: GONE},
            "is still RUNNING on elsewhere; .*src.doctor hosts=all fix=true$",
        ),
        ("SCHEDULED", {}, "is still SCHEDULED"),
        ("KILLED", {"convlab.sweep": "1"}, "is that of a sweep or a pipeline; run the same command again"),
        ("KILLED", {"convlab.pipeline_key": "1"}, "is that of a sweep or a pipeline; run the same command again"),
        (
            "KILLED",
            {"convlab.sweep": "1", "convlab.command": "python -m src.train -m seed=1,2"},
            "is that of a sweep or a pipeline; resume it with: python -m src.train -m seed=1,2",
        ),
        (
            "KILLED",
            {"convlab.study_id": "1", "study": "mine", "trial": "3"},
            "is trial 3 of study mine; run the command",
        ),
    ],
)
def test_a_run_that_is_not_an_interrupted_training_is_refused(
    status: str, tags: dict[str, str], reason: str, interrupted: Interruption, typed: Typed
) -> None:
    for name, value in tags.items():
        interrupted.client.set_tag(interrupted.run_id, name, value)
    interrupted.client.update_run(interrupted.run_id, status=status)
    assert_refused(interrupted, typed, reason)


def test_a_deleted_run_is_refused(interrupted: Interruption, typed: Typed) -> None:
    interrupted.client.delete_run(interrupted.run_id)
    assert_refused(interrupted, typed, f"was deleted; restore it: .*mlflow runs restore --run-id {interrupted.run_id}")


@pytest.mark.parametrize("run_id", ["0" * 32, "x y", "'", "../..", "%"])
def test_an_unknown_run_is_refused(run_id: str, interrupted: Interruption, typed: Typed) -> None:
    answer = typed(interrupted.place, f'resume="{run_id}"')
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert f"has no run {run_id}" in answer.err


def test_a_failed_run_without_a_checkpoint_is_refused(interrupted: Interruption, typed: Typed) -> None:
    interrupted.client.set_tag(interrupted.run_id, "error", "TrainingDiverged: the loss became nan")
    interrupted.client.update_run(interrupted.run_id, status="FAILED")
    shutil.rmtree(interrupted.folder.parent)
    reason = r"has failed \(TrainingDiverged: .* nan\) and has no checkpoint in .*/checkpoints; train it again"
    assert_refused(interrupted, typed, reason)


def test_checkpoints_that_were_written_and_are_gone_are_missed(interrupted: Interruption, typed: Typed) -> None:
    (interrupted.folder / "00002.json").unlink()
    assert_refused(interrupted, typed, "has written a checkpoint after epoch 2, but there is none in .*checkpoint_dir=")


def test_a_folder_without_checkpoints_is_refused(interrupted: Interruption, typed: Typed, tmp_path: Path) -> None:
    reason = "has written a checkpoint after epoch 2, but there is none in .*missing"
    assert_refused(interrupted, typed, reason, f"training.checkpoint_dir={tmp_path / 'missing'}")


def test_a_checkpoint_that_cannot_be_read_is_refused(interrupted: Interruption, typed: Typed) -> None:
    os.truncate(interrupted.folder / "variables-00002.npy", 50)
    assert_refused(interrupted, typed, r"no checkpoint in .* can be read \(epoch 2: .* has 50 bytes")


@pytest.mark.parametrize("config", ["", "[1]", "model: {name: dense", "model: {}"])
def test_a_run_with_a_damaged_config_is_refused(config: str, interrupted: Interruption, typed: Typed) -> None:
    (interrupted.artifacts / "config/config.yaml").write_text(config)
    assert_refused(interrupted, typed, "config/config.yaml is damaged")


def test_a_run_without_a_config_is_refused(interrupted: Interruption, typed: Typed) -> None:
    (interrupted.artifacts / "config/config.yaml").unlink()
    assert_refused(interrupted, typed, "keeps no config/config.yaml; restore it from a copy, or train the run again")


@pytest.mark.parametrize(("key", "value"), [("optimizer.learning_rate", 0.5), ("dataset.train_size", 120)])
def test_the_checkpoint_of_another_training_is_refused(
    key: str, value: float, interrupted: Interruption, typed: Typed
) -> None:
    file = interrupted.artifacts / "config/config.yaml"
    config = yaml.safe_load(file.read_text())
    config[key.split(".")[0]][key.split(".")[1]] = value
    file.write_text(yaml.safe_dump(config))
    for on_change in ("error", "continue"):
        reason = f"the checkpoint in .* belongs to another training: {key} was .*, is {value}"
        assert_refused(interrupted, typed, reason, f"on_change={on_change}")


@pytest.mark.parametrize("changed", ["code", "versions"])
def test_changed_code_or_packages_are_refused_unless_they_are_accepted(
    changed: str, interrupted: Interruption, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    if changed == "code":
        monkeypatch.setattr("src.tracking.reuse.result_code_digest", lambda: "other")
        change = "the code that decides results was changed"
    else:
        monkeypatch.setattr("src.resuming.origin.version", lambda name: "0.1" if name == "keras" else "1")
        change = r"keras was 3\.\S+, is 0\.1"
    assert_refused(interrupted, typed, f"since the checkpoint in .*{change}.* resume anyway with on_change=continue")
    assert typed(interrupted.place, f"resume={interrupted.run_id}", "on_change=continue").code == 0
    assert re.search(change, interrupted.client.get_run(interrupted.run_id).data.tags[CHANGED])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["tracking=off"], "an interrupted run is read from the tracking store; remove `tracking=off`"),
        (["tracking.enabled=false"], "an interrupted run is read from the tracking store"),
        (["tracking.uri='sqlite:///none.db'"], "there is no tracking store sqlite:///none.db"),
    ],
)
def test_a_store_without_the_run_is_refused(
    arguments: list[str], reason: str, interrupted: Interruption, typed: Typed
) -> None:
    assert_refused(interrupted, typed, reason, *arguments)


def test_a_sweep_cannot_be_asked_to_resume_a_run(interrupted: Interruption, typed: Typed) -> None:
    reason = f"resume={interrupted.run_id}: it continues a single run, but -m or hparams_search begins a sweep; to"
    assert_refused(interrupted, typed, reason, "-m", "seed=1,2", code=2)


def test_on_change_belongs_to_a_resumed_run(workplace: Workplace, typed: Typed) -> None:
    answer = typed(workplace, *LIGHT, "on_change=continue")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "on_change=continue: it belongs to resume=RUN" in answer.err


def test_one_of_two_processes_takes_over_a_run(interrupted: Interruption) -> None:
    store = open_store(compose_config([f"tracking.uri='{interrupted.place.uri}'"]).tracking)
    outcomes: list[str] = []
    ready = threading.Barrier(4)

    def resume() -> None:
        ready.wait()
        try:
            take_over(store, interrupted.run_id, {})
            outcomes.append("taken")
        except StoreError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=resume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("taken") == 1
    assert len([one for one in outcomes if f"run {interrupted.run_id} is still RUNNING" in one]) == 3
    assert not (interrupted.place.folder / f".{interrupted.run_id}.lock").exists()


@pytest.mark.parametrize(
    ("dir_", "code", "reason"),
    [("mlflow.db", 2, "training.checkpoint_dir: .*mlflow.db is a file, not a folder"), (None, 0, "no checkpoints are")],
)
def test_a_folder_that_cannot_be_written_is_an_error_if_it_was_typed_and_else_a_warning(
    dir_: str | None, code: int, reason: str, workplace: Workplace, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace.folder / "checkpoints").write_text("in the way")
    monkeypatch.setattr("src.datasets.load_dataset", pytest.fail) if dir_ else None
    answer = typed(workplace, *LIGHT, *([f"training.checkpoint_dir={dir_}"] if dir_ else []))
    assert answer.code == code, answer
    assert re.search(reason, answer.err if dir_ else answer.out)
    assert len(MlflowClient(workplace.uri).search_runs(["1"])) == (0 if dir_ else 1), answer


def test_a_checkpoint_names_everything_that_decides_the_result(interrupted_once: Interruption) -> None:
    found = newest(interrupted_once.folder)
    assert found is not None
    assert {"settings", "data", "code", "versions"} <= set(found[1])
    assert set(found[1]["versions"]) == {"tensorflow", "keras", "numpy"}
