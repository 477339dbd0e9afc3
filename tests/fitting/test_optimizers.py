"""The optimizer and its learning rate."""

from dataclasses import asdict
from typing import Any

import keras
import pytest

from src.cli.compose import CONF, compose_config
from src.fitting import optimizers
from src.fitting.schedules import build_schedule
from src.models import build_model
from tests.support.training import BATCHES

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
    settings = settings | {"learning_rate": 0.25, "clipnorm": 0.5}
    config = compose_config([f"optimizer={name}", *(f"optimizer.{key}={value}" for key, value in settings.items())])
    assert asdict(config.optimizer) == settings | {"name": name}
    optimizer = optimizers.build_optimizer(config, BATCHES)
    assert {key: optimizer.get_config()[key] for key in settings} == pytest.approx(settings)
    assert type(optimizer) is kind


def cosine_rate(warmup_epochs: float, epochs: int, steps: int) -> Any:
    """The learning rate as a function of the step, with 0.5 after the warm-up and a fifth of that at the end."""
    typed = [f"schedule.warmup_epochs={warmup_epochs}", "schedule.alpha=0.2", f"training.epochs={epochs}"]
    config = compose_config(["schedule=cosine", "optimizer.learning_rate=0.5", *typed])
    return build_schedule(config, steps).learning_rate


@pytest.mark.parametrize(
    ("warmup_epochs", "rates"), [(2, {0: 0, 8: 0.25, 16: 0.5, 28: 0.3, 40: 0.1}), (0, {0: 0.5, 20: 0.3, 40: 0.1})]
)
def test_cosine_warms_up_to_the_learning_rate_and_falls_to_alpha_times_it(warmup_epochs: int, rates: Any) -> None:
    rate = cosine_rate(warmup_epochs, epochs=5, steps=8)
    assert {step: float(rate(step)) for step in rates} == pytest.approx(rates)


@pytest.mark.parametrize(("warmup_epochs", "epochs", "steps"), [(1.9, 2, 4), (0.6, 1, 1)])
def test_a_warm_up_leaves_at_least_one_step(warmup_epochs: float, epochs: int, steps: int) -> None:
    rate = cosine_rate(warmup_epochs, epochs, steps)
    assert float(rate(epochs * steps)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("model", "batch_size", "steps"),
    [("lenot", 128, 32), ("lenot", 4096, 28), ("fashion_cnn", 128, 4), ("resnet18", 8, 13), ("resnet18", 128, 1)],
)
def test_fewer_batches_are_executed_in_one_call_where_they_take_long(model: str, batch_size: int, steps: int) -> None:
    config = compose_config([f"model={model}", f"training.batch_size={batch_size}"])
    network = build_model(config.model, (28, 28, 1), 10)
    assert optimizers.steps_per_execution(network, config) == steps
