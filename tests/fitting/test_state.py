"""A training that continues from a checkpoint gives the same weights and metrics, bit for bit, as an unstopped one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import fitting
from src.checkpoints import Checkpoints, newest
from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.fitting.watch import Observer
from src.models import build_model
from src.process.interrupt import Interrupted
from src.schema import Config

EPOCHS = 5
SMALL = ["dataset=synthetic", "dataset.train_size=128", "dataset.test_size=20", "dataset.validation_size=32"]
SMALL += [f"training.epochs={EPOCHS}", "training.batch_size=24", "training.deterministic=true"]
NETWORK = ["model=cnn_mnist_v2", "model.conv.0.filters=4", "model.dense=[8]", "model.dropout=0.3"]
TIMES = {"epoch_seconds", "images_per_second"}


def trained(
    config: Config, folder: Path, *, stop_after: int | None = None, resumed: Any = None
) -> tuple[fitting.Fit, list[Any]] | None:
    """The result of a training and its weights; None if it was stopped after an epoch."""

    def stop(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == stop_after:
            raise Interrupted(15)

    observers: list[Observer] = [stop]
    dataset = load_dataset(config.dataset)
    fitting.seed_everything(config.seed, deterministic=True)
    with fitting.precision(config.training.precision):
        model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
    fitting.compile_model(model, config, -(-len(dataset.train) // config.training.batch_size))
    checkpoints = Checkpoints(folder, "run", 0, resumed=resumed)
    try:
        fitted = fitting.fit(model, dataset, config, observers, checkpoints=checkpoints)
    except Interrupted:
        checkpoints.write_latest()
        return None
    return fitted, model.get_weights()


@pytest.mark.parametrize("stop_after", [1, 3, EPOCHS])
@pytest.mark.parametrize(
    "typed",
    [
        ["optimizer=rmsprop"],
        ["optimizer=adam", "augmentation=photos"],
        ["optimizer=adamw", "schedule=cosine"],
        ["optimizer=nadam", "training.class_weights=balanced"],
        ["schedule=reduce_on_plateau", "schedule.patience=1", "training.early_stopping_patience=2"],
        ["training.precision=mixed_bfloat16"],
        ["training.precision=mixed_float16"],
        ["optimizer=sgd", "dataset.validation_size=0"],
    ],
    ids=" ".join,
)
def test_a_resumed_training_is_equal(typed: list[str], stop_after: int, tmp_path: Path) -> None:
    config = compose_config([*SMALL, *NETWORK, *typed])
    whole = trained(config, tmp_path / "whole")
    assert whole is not None
    assert trained(config, tmp_path / "stopped", stop_after=stop_after) is None
    found = newest(tmp_path / "stopped" / "run")
    assert found is not None
    assert found[0].epoch == stop_after
    again = trained(config, tmp_path / "stopped", resumed=found[0])
    assert again is not None
    assert {name: values for name, values in again[0].history.items() if name not in TIMES} == {
        name: values for name, values in whole[0].history.items() if name not in TIMES
    }
    assert again[0]._replace(history={}) == whole[0]._replace(history={})
    for one, other in zip(again[1], whole[1], strict=True):
        np.testing.assert_array_equal(one, other)
