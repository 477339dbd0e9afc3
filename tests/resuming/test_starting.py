"""An interrupted training continues in its own run with the result of an uninterrupted one."""

import os
import re
import signal

import pytest
from mlflow import MlflowClient

from src import train
from src.checkpointing import manifests
from src.cli.compose import compose_config
from src.keeping import Keeper
from src.process.interrupt import Interrupted
from src.resuming import Resumption
from src.tracking import RESUMED
from tests.support.extensions import write_files
from tests.support.interruptions import (
    LIGHT,
    SMALL,
    STOPPED_AFTER,
    Interruption,
    Typed,
    assert_refused,
    interrupt,
    runs_of,
    stopping,
)
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services  # they train several times


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
        "no checkpoint was written (training.checkpoint_minutes=null); continue from the weights of the run with "
        f"training.initial_weights={run_id}"
    )
    assert not (workplace.folder / "checkpoints").exists()


def test_a_network_that_is_too_large_to_be_held_in_memory_has_a_checkpoint_when_it_is_stopped(
    workplace: Workplace, whole: Interruption, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.checkpointing.training.MAX_HELD", 0)
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
    monkeypatch.setattr("src.checkpointing.training.MAX_HELD", 0)
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
    assert "resuming from the first epoch, because the run has no checkpoint" in answer.out
    assert interrupted.curves() == whole.curves()


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


def test_checkpoints_that_were_written_and_are_gone_are_missed(interrupted: Interruption, typed: Typed) -> None:
    (interrupted.folder / "00002.json").unlink()
    assert_refused(interrupted, typed, "has written a checkpoint after epoch 2, but there is none in .*checkpoint_dir=")


def test_a_checkpoint_that_cannot_be_read_is_refused(interrupted: Interruption, typed: Typed) -> None:
    os.truncate(interrupted.folder / "variables-00002.npy", 50)
    assert_refused(interrupted, typed, r"no checkpoint in .* can be read \(epoch 2: .* has 50 bytes")
