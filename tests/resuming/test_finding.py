"""The interrupted training that `resume=RUN` names is found, or one sentence says why it cannot be resumed."""

import json
import re
import shutil
import threading
from pathlib import Path

import pytest

from src.checkpointing import manifests
from src.checkpointing.manifest import digest_of
from src.cli.compose import compose_config
from src.errors import StoreError
from src.keeping import Keeper
from src.tracking import RESUMED, open_store
from src.tracking.resuming import take_over
from src.tracking.tags import EPOCHS, HOST, PROCESS
from tests.support.interruptions import (
    GONE,
    LIGHT,
    STOPPED_AFTER,
    Interruption,
    Typed,
    assert_refused,
    interrupt,
    stopping,
)
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services  # they train several times


def test_more_epochs_can_be_typed(interrupted: Interruption, whole: Interruption, typed: Typed) -> None:
    answer = typed(interrupted.place, f"resume={interrupted.run_id}", "training.epochs=5", "tags.owner=ada")
    assert answer.code == 0, answer.err
    assert [step for step, _ in interrupted.points("loss")] == [1, 2, 3, 4, 5]
    assert interrupted.points("loss")[:4] == whole.points("loss")
    tags = interrupted.client.get_run(interrupted.run_id).data.tags
    assert (tags[EPOCHS], tags["owner"]) == ("5", "ada")


def test_a_run_whose_process_was_killed_is_resumed(interrupted: Interruption, typed: Typed) -> None:
    interrupted.client.set_tag(interrupted.run_id, PROCESS, GONE)
    interrupted.client.update_run(interrupted.run_id, status="RUNNING")
    assert typed(interrupted.place, f"resume={interrupted.run_id}").code == 0


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


def test_an_uploaded_checkpoint_is_used_by_the_same_command_where_the_folder_is_gone(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    line = (*LIGHT, "training.checkpoint_upload=true", "tracking.on_duplicate=reuse")
    interrupted = Interruption(workplace, interrupt(workplace, *line))
    shutil.rmtree(interrupted.folder.parent)
    assert typed(workplace, *line).code == 0
    assert interrupted.client.get_run(interrupted.run_id).data.tags[RESUMED] == str(STOPPED_AFTER)
    assert interrupted.curves() == whole.curves()


def test_the_same_command_finds_the_folder_of_checkpoints_that_the_run_names(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    line = (*LIGHT, "tracking.on_duplicate=reuse")
    run_id = interrupt(workplace, *line, f"training.checkpoint_dir='{workplace.folder}/elsewhere'")
    interrupted = Interruption(workplace, run_id)
    assert f"resuming after epoch {STOPPED_AFTER} of 4" in typed(workplace, *line).out
    assert interrupted.curves() == whole.curves()


def test_an_uploaded_checkpoint_that_is_older_than_a_lost_one_is_used_with_a_warning(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    interrupted = Interruption(workplace, interrupt(workplace, *LIGHT, "training.checkpoint_upload=true"))
    with stopping(3), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "_upload_checkpoint", lambda keeper: None)  # as if the process had been killed
        assert typed(workplace, f"resume={interrupted.run_id}").code == 143
    shutil.rmtree(interrupted.folder)
    said = " ".join(re.findall(r"[\w.]+", typed(workplace, f"resume={interrupted.run_id}").out))
    assert "has written a checkpoint after epoch 3 but the newest one here is that of epoch 2" in said
    assert interrupted.curves() == whole.curves()


def test_checkpoints_are_not_removed_before_the_run_is_taken_over(
    workplace: Workplace, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (*LIGHT, "tracking.on_duplicate=reuse")
    interrupted = Interruption(workplace, interrupt(workplace, *line))
    with_another_keras(interrupted.folder)

    def refuse(*arguments: object) -> None:
        raise StoreError("another process trains it")

    monkeypatch.setattr("src.tracking.opening.take_over", refuse)
    assert typed(workplace, *line).code == 1
    assert list(manifests(interrupted.folder)) == [STOPPED_AFTER]


def with_another_keras(folder: Path) -> None:
    """Write the manifest of a checkpoint as if another Keras had computed it."""
    (manifest,) = manifests(folder).values()
    stored = json.loads(manifest.read_text())
    stored["content"]["origin"]["versions"]["keras"] = "3.0"
    stored["sha256"] = digest_of(stored["content"])
    manifest.write_text(json.dumps(stored))


def test_a_checkpoint_of_other_packages_does_not_cost_an_older_one_that_can_be_used(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    line = (*LIGHT, "training.checkpoint_upload=true", "tracking.on_duplicate=reuse")
    interrupted = Interruption(workplace, interrupt(workplace, *line, epoch=3))
    with_another_keras(interrupted.artifacts / "checkpoint")
    shutil.rmtree(interrupted.folder)
    with stopping(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "_upload_checkpoint", lambda keeper: None)  # the process was killed
        assert "starts again from the first epoch" in " ".join(re.findall(r"[\w.]+", typed(workplace, *line).out))
    answer = typed(workplace, *line)
    assert (answer.code, "resuming after epoch 1 of 4" in answer.out) == (0, True)
    assert interrupted.curves() == whole.curves()


def test_checkpoints_of_other_packages_are_replaced_by_an_uploaded_one(
    workplace: Workplace, whole: Interruption, typed: Typed
) -> None:
    line = (*LIGHT, "training.checkpoint_upload=true", "tracking.on_duplicate=reuse")
    interrupted = Interruption(workplace, interrupt(workplace, *line))
    with_another_keras(interrupted.folder)
    with stopping(STOPPED_AFTER + 1, "start"):
        assert typed(workplace, *line).code == 143
    answer = typed(workplace, *line)
    assert (answer.code, f"resuming after epoch {STOPPED_AFTER} of 4" in answer.out) == (0, True)
    assert interrupted.curves() == whole.curves()


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


@pytest.mark.parametrize("config", ["", "[1]", "model: {name: dense", "model: {}"])
def test_a_run_with_a_damaged_config_is_refused(config: str, interrupted: Interruption, typed: Typed) -> None:
    (interrupted.artifacts / "config/config.yaml").write_text(config)
    assert_refused(interrupted, typed, "config/config.yaml is damaged")


def test_a_run_without_a_config_is_refused(interrupted: Interruption, typed: Typed) -> None:
    (interrupted.artifacts / "config/config.yaml").unlink()
    assert_refused(interrupted, typed, "keeps no config/config.yaml; restore it from a copy, or train the run again")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["tracking=off"], "an interrupted run is read from the tracking store; remove `tracking=off`"),
        (["tracking.enabled=false"], "an interrupted run is read from the tracking store"),
        (["tracking.uri='sqlite:///none.db'"], "the tracking store sqlite:///none.db does not exist"),
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
