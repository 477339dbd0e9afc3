"""The optimizer, and the batches that are executed in one call."""

from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import pytest

from src.cli.compose import CONF, compose_config
from src.fitting import epochs, fit, optimizers, score
from src.models import build_model
from tests.support.training import BATCHES, STANDING_STILL, ready

ADAM = {"beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-3}
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {  # every setting, none at its default
    "adam": (keras.optimizers.Adam, ADAM | {"amsgrad": True}),
    "adamw": (keras.optimizers.AdamW, ADAM | {"amsgrad": True, "weight_decay": 0.125}),
    "nadam": (keras.optimizers.Nadam, ADAM),
    "rmsprop": (keras.optimizers.RMSprop, {"rho": 0.8, "momentum": 0.1, "epsilon": 1e-3, "centered": True}),
    "sgd": (keras.optimizers.SGD, {"momentum": 0.1, "nesterov": False}),
}


@pytest.mark.parametrize("name", [path.stem for path in sorted(CONF.glob("optimizer/*.yaml"))])
def test_an_optimizer_is_keras_own_with_every_setting_of_its_config(name: str) -> None:
    kind, settings = OPTIMIZERS[name]
    settings = {"weight_decay": 0.25} | settings | {"learning_rate": 0.25, "global_clipnorm": 0.5}
    typed = [*(f"optimizer.{key}={value}" for key, value in settings.items()), "optimizer.decay_biases=true"]
    config = compose_config([f"optimizer={name}", *typed])
    others = {"name": name, "clipnorm": None, "clipvalue": None, "decay_biases": True}
    others |= {"ema_momentum": None, "gradient_accumulation_steps": None, "l2": None}
    assert asdict(config.optimizer) == settings | others
    optimizer = optimizers.build_optimizer(config, BATCHES)
    assert {key: optimizer.get_config()[key] for key in settings} == pytest.approx(settings)
    assert type(optimizer) is kind


@pytest.mark.parametrize("key", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_gradients_are_clipped_in_the_way_that_is_set(key: str) -> None:
    optimizer = optimizers.build_optimizer(compose_config([f"optimizer.{key}=0.5"]), BATCHES)
    clips = {name: getattr(optimizer, name) for name in ("clipnorm", "global_clipnorm", "clipvalue")}
    assert clips == dict.fromkeys(clips) | {key: 0.5}


@pytest.mark.parametrize("decay_biases", [True, False])
def test_weight_decay_spares_biases_and_normalizations_if_it_is_set_so(decay_biases: bool) -> None:
    config = compose_config(
        ["model=resnet18", "optimizer=adamw", "optimizer.weight_decay=0.5", f"optimizer.decay_biases={decay_biases}"]
    )
    network = build_model(config.model, (28, 28, 1), 10)
    optimizer = optimizers.build_optimizer(config, BATCHES)
    optimizer.build(network.trainable_variables)
    variables = {variable.path: variable for variable in network.trainable_variables}
    for variable in variables.values():
        variable.assign(keras.ops.ones_like(variable))
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables.values()])
    shrunk = {path.rpartition("/")[2] for path, variable in variables.items() if (variable.numpy() < 1).all()}
    kept = {path.rpartition("/")[2] for path, variable in variables.items() if (variable.numpy() == 1).all()}
    assert (shrunk, kept) == (({"kernel", "bias", "gamma", "beta"}, set()) if decay_biases else ({"kernel"}, kept))
    assert decay_biases or kept == {"bias", "gamma", "beta"}


ONE_STEP = ["optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "optimizer.learning_rate=0.25"]
ONE_STEP += ["training.epochs=1", "training.batch_size=112"]


@pytest.mark.parametrize("parts", [1, 2])
def test_the_penalty_shrinks_kernels_and_not_biases(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "parts_for", lambda config: parts)

    def weights_after(*typed: str) -> tuple[list[Any], list[Any]]:
        model, dataset, config = ready(*ONE_STEP, *typed)
        before = model.get_weights()
        fit(model, dataset, config)
        return before, model.get_weights()

    (start, plain), (_, penalized) = weights_after(), weights_after("optimizer.l2=0.5")
    for before, without, found, is_kernel in zip(start, plain, penalized, [True, False], strict=True):
        np.testing.assert_allclose(found - without, -0.25 * 2 * 0.5 * before * is_kernel, atol=1e-5)
        assert is_kernel == before.any()


def test_the_penalty_is_not_part_of_any_reported_loss() -> None:
    plain, penalized = (ready(*STANDING_STILL, *typed) for typed in ([], ["optimizer.l2=10"]))
    histories = [fit(*each).history for each in (plain, penalized)]
    for name in ("loss", "val_loss"):
        assert histories[1][name] == pytest.approx(histories[0][name], rel=1e-6)
    model, dataset, config = penalized
    assert dataset.validation
    assert histories[1]["val_loss"][-1] == pytest.approx(score(model, dataset.validation, config.loss).metrics["loss"])


@pytest.mark.parametrize(
    ("model", "batch_size", "steps"),
    [("lenot", 128, 32), ("lenot", 4096, 28), ("fashion_cnn", 128, 4), ("resnet18", 8, 13), ("resnet18", 128, 1)],
)
def test_fewer_batches_are_executed_in_one_call_where_they_take_long(model: str, batch_size: int, steps: int) -> None:
    config = compose_config([f"model={model}", f"training.batch_size={batch_size}"])
    network = build_model(config.model, (28, 28, 1), 10)
    assert optimizers.steps_per_execution(network, config) == steps
