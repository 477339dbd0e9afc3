"""A training that continues from a checkpoint gives the same weights and metrics, bit for bit, as an unstopped one."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from src import fitting
from src.checkpointing import Checkpoint, Checkpoints, Written, newest
from src.cli.compose import compose_config
from src.datasets import Dataset, Split, load_dataset
from src.errors import CheckpointError
from src.fitting import epochs
from src.models import build_model
from src.models.transfer import load_backbone
from src.schema import TransferConfig
from tests.fitting.test_phases import two_blocks

EPOCHS = 4
# The network learns something in every epoch. Otherwise its best weights would hide later differences.
DATA = ("dataset=mnist", "dataset.source=sample", "dataset.limit=400", "dataset.validation_size=100")
SMALL = (*DATA, f"training.epochs={EPOCHS}", "training.batch_size=24", "training.deterministic=true")
NETWORK = (
    "model=cnn_mnist_v2",
    "model.conv.0.filters=4",
    "model.conv.0.batch_norm=true",
    "model.dense=[8]",
    "model.dropout=0.3",
)
TIMES = {"epoch_seconds", "images_per_second"}
EVERYTHING = ("augmentation=photos", "dataset.flips=true")  # every layer
PLATEAU = ("schedule=reduce_on_plateau", "schedule.patience=1", "optimizer.learning_rate=0.01")


class Trained(NamedTuple):
    """A training, and its checkpoint after each epoch."""

    fitted: fitting.Fit
    model: keras.Model
    checkpoints: dict[int, Checkpoint]

    @property
    def result(self) -> Any:
        """Everything that may not depend on an interruption."""
        history = {name: values for name, values in self.fitted.history.items() if name not in TIMES}
        state = [np.asarray(variable).tobytes() for variable in self.model.variables]
        return history, self.fitted._replace(history={}), state


def on_disk(dataset: Dataset, folder: Path) -> Dataset:
    """The data set with its images in files, as a folder of images has them."""
    for name, split in (("train", dataset.train), ("validation", dataset.validation)):
        assert split is not None
        np.save(folder / f"{name}.npy", split.images)
        object.__setattr__(dataset, name, Split(np.load(folder / f"{name}.npy", mmap_mode="r"), split.labels))
    assert isinstance(dataset.train.images, np.memmap)
    return dataset


def train(typed: Sequence[str], folder: Path, resumed: Checkpoint | None = None) -> Trained:
    """A training from its first epoch, or from a checkpoint."""
    network = () if "model=transfer" in typed else NETWORK
    config = compose_config([*SMALL, *network, *[word for word in typed if word != "on disk"]])
    dataset = load_dataset(config.dataset)
    if "on disk" in typed:
        folder.mkdir(exist_ok=True)
        dataset = on_disk(dataset, folder)
    fitting.seed_everything(config.seed, deterministic=True)
    with fitting.precision(config.training.precision), fitting.replicating(config):
        model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
    if isinstance(config.model, TransferConfig):
        load_backbone(model, config.model)
    fitting.compile_model(model, config, -(-len(dataset.train) // config.training.batch_size))
    seen: dict[int, Checkpoint] = {}

    def keep(written: Written) -> None:
        found = newest(folder / "run")
        assert found is not None
        seen[written.epoch] = found[0]

    checkpoints = Checkpoints(folder, "run", 0, on_write=keep, resumed=resumed)
    return Trained(fitting.fit(model, dataset, config, checkpoints=checkpoints), model, seen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@functools.cache
def uninterrupted(typed: tuple[str, ...], folder: Path) -> Trained:
    return train(typed, folder / str(abs(hash(typed))))


def assert_equal_after(epoch: int, typed: tuple[str, ...], folder: Path, tmp_path: Path) -> Trained:
    """Continue the training after an epoch: -1 is its last one. Returns the uninterrupted one."""
    whole = uninterrupted(typed, folder)
    stopped_after = max(whole.checkpoints) if epoch == -1 else epoch
    again = train(typed, tmp_path, whole.checkpoints[stopped_after])
    assert again.result == whole.result
    assert sorted(again.checkpoints) == [one for one in whole.checkpoints if one > stopped_after]
    return whole


@pytest.mark.parametrize("epoch", [2, pytest.param(-1, marks=pytest.mark.services)])
def test_a_resumed_training_is_equal(epoch: int, folder: Path, tmp_path: Path) -> None:
    assert_equal_after(epoch, ("optimizer=adam", *EVERYTHING, *PLATEAU), folder, tmp_path)


def slow(*epochs: int) -> list[Any]:
    """Further moments of an interruption: for every commit, one of each kind of training is enough."""
    return [pytest.param(epoch, marks=pytest.mark.slow) for epoch in epochs]


@pytest.mark.services
@pytest.mark.parametrize("epoch", [1, *slow(3, -1)])
@pytest.mark.parametrize(
    "typed",
    [
        ("optimizer=rmsprop",),
        ("optimizer=adamw", "schedule=cosine"),
        ("optimizer=adam", "schedule=one_cycle"),
        ("optimizer=nadam", "training.class_weights=balanced"),
        ("optimizer=sgd", "dataset.validation_size=0"),
        ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.clipnorm=0.1"),
        ("training.precision=mixed_bfloat16",),
        ("training.precision=mixed_float16", "optimizer=adam"),
        ("training.steps_per_execution=2", "optimizer=adam"),
        ("on disk", *EVERYTHING),
        ("training.monitor=val_brier", "training.metrics=[auc,macro_f1,calibration_error]"),
        ("training.last_epoch=3",),
        ("optimizer=sgd", "optimizer.ema_momentum=0.9", "optimizer.gradient_accumulation_steps=3"),
        ("loss.label_smoothing=0.1", "optimizer=adam", "augmentation.mixup=0.2"),
        ("augmentation=rand_augment", "augmentation.erasing=0.5", "augmentation.cutmix=1", "optimizer.l2=0.01"),
    ],
    ids=" ".join,
)
def test_resumed_trainings_of_all_kinds_are_equal(
    typed: tuple[str, ...], epoch: int, folder: Path, tmp_path: Path
) -> None:
    assert_equal_after(epoch, typed, folder, tmp_path)


@pytest.mark.services
@pytest.mark.parametrize("epoch", [*slow(1), 2, *slow(-1)])
def test_early_stopping_counts_the_epochs_before_the_interruption(epoch: int, folder: Path, tmp_path: Path) -> None:
    typed = ("training.early_stopping_patience=2", "training.epochs=12", "optimizer=sgd", "optimizer.learning_rate=0.9")
    whole = assert_equal_after(epoch, typed, folder, tmp_path)
    assert whole.fitted.stopped == "early_stopping"
    assert whole.fitted.best_epoch == len(whole.fitted.history["loss"]) - 2


@pytest.mark.services
@pytest.mark.parametrize("epoch", [*slow(1, 2), 3, *slow(-1)])
def test_the_plateau_counts_the_epochs_before_the_interruption(epoch: int, folder: Path, tmp_path: Path) -> None:
    typed = ("schedule=reduce_on_plateau", "schedule.patience=2", "training.epochs=7", "optimizer=sgd")
    whole = assert_equal_after(epoch, (*typed, "optimizer.learning_rate=0.9"), folder, tmp_path)
    assert len(set(whole.fitted.history["learning_rate"])) > 1


@pytest.mark.services
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_training_that_gets_more_epochs_is_the_longer_training(epoch: int, folder: Path, tmp_path: Path) -> None:
    typed = ("optimizer=sgd", "optimizer.learning_rate=0.9")
    short = uninterrupted((*typed, "training.epochs=3"), folder)
    longer = uninterrupted((*typed, "training.epochs=9"), folder)
    assert longer.fitted.best_epoch < 5  # so the patience of 3 epochs would have ended it
    again = train((*typed, "training.epochs=9"), tmp_path, short.checkpoints[epoch])
    assert again.result == longer.result


@pytest.mark.services
@pytest.mark.parametrize("epoch", [1, *slow(3, -1)])
@pytest.mark.parametrize("typed", [("optimizer=rmsprop",), ("optimizer=adam", "training.precision=mixed_bfloat16")])
def test_a_training_in_parts_is_equal(
    typed: tuple[str, ...], epoch: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "parts_for", lambda config: 2)  # deterministic trainings are not divided otherwise
    lenot = (
        "model=lenot",
        "model.conv.0.batch_norm=false",
        "model.dense=[20]",
        "model.dropout=0.3",
        "training.batch_size=28",
    )
    assert_equal_after(epoch, (*lenot, *typed), folder, tmp_path)


# --- transfer learning ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """A short pretrained backbone."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keras.applications, "MobileNet", two_blocks)
        keras.utils.set_random_seed(0)
        path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
        keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3)).save_weights(path)
        transfer = ("model=transfer", "model.backbone=MobileNet", "model.input_size=32", f"model.weights={path}")
        yield (*transfer, "model.dropout=0.3", "optimizer=adam", "optimizer.learning_rate=0.01")


@pytest.mark.services
@pytest.mark.parametrize("epoch", [1, *slow(2), 3, *slow(-1)])
@pytest.mark.parametrize(
    "typed",
    [
        (),
        ("augmentation=digits",),
        ("model.mode=fine_tuning", "model.head_epochs=2"),
        ("model.mode=fine_tuning", "model.head_epochs=2", "augmentation=digits"),
    ],
    ids=["features", "augmented", "fine-tuning", "augmented fine-tuning"],
)
def test_transfer_learning_is_equal_in_each_of_its_phases(
    typed: tuple[str, ...], epoch: int, backbone: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    whole = assert_equal_after(epoch, (*backbone, *typed), folder, tmp_path)
    assert len(whole.fitted.phases) == (2 if "model.mode=fine_tuning" in typed else 0)


@pytest.mark.services
@pytest.mark.parametrize("epoch", [*slow(1, 2), 3, *slow(-1)])
def test_the_weights_of_a_better_first_phase_survive_an_interruption_of_the_second(
    epoch: int, backbone: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    worse = (
        "model.mode=fine_tuning",
        "model.head_epochs=2",
        "model.learning_rate_factor=1",
        "training.monitor=val_loss",
    )
    coarse = tuple(word.replace("adam", "sgd") for word in backbone)
    whole = assert_equal_after(epoch, (*coarse, *worse, "optimizer.learning_rate=2"), folder, tmp_path)
    assert whole.fitted.best_epoch <= 2


@pytest.mark.services
@pytest.mark.parametrize("epoch", [*slow(1, 2), 3, *slow(-1)])
def test_a_first_phase_that_early_stopping_ends_is_not_continued(
    epoch: int, backbone: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    typed = ("model.mode=fine_tuning", "model.head_epochs=5", "training.epochs=7", "optimizer.learning_rate=0.5")
    stopping = ("training.early_stopping_patience=1", "training.monitor=val_loss")
    whole = assert_equal_after(epoch, (*backbone, *typed, *stopping), folder, tmp_path)
    assert whole.fitted.phases[1][1] < 6


# --- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.services
@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (("optimizer=adam",), r"\d+ arrays, expected \d+|an array is"),
        (("model.dense=[9]",), r"an array is float32 \(.*\), expected float32 \(.*\)"),
    ],
)
def test_the_checkpoint_of_another_network_or_optimizer_is_refused(
    typed: tuple[str, ...], reason: str, folder: Path, tmp_path: Path
) -> None:
    whole = uninterrupted(("optimizer=rmsprop",), folder)
    with pytest.raises(CheckpointError, match=f"the checkpoint is of another network or optimizer: ({reason})"):
        train(("optimizer=rmsprop", *typed), tmp_path, whole.checkpoints[1])


def test_a_checkpoint_is_not_changed_by_the_training_that_continues_from_it(folder: Path, tmp_path: Path) -> None:
    whole = uninterrupted(("optimizer=adam", *EVERYTHING, *PLATEAU), folder)
    train(("optimizer=adam", *EVERYTHING, *PLATEAU), tmp_path, whole.checkpoints[3])
    assert {len(values) for values in whole.checkpoints[3].state["history"].values()} == {3}
