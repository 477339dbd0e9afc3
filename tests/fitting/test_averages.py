"""Moving averages of the weights, and updates that several batches share."""

from typing import Any

import keras
import numpy as np
import pytest

from src.errors import ConfigError
from src.fitting import fit
from tests.support.training import ready

MOMENTUM = 0.75
SGD = ("optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "training.epochs=2")


class Recorded(keras.callbacks.Callback):
    """Keeps the weights after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[Any]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(self.model.get_weights())


def trained(*typed: str) -> tuple[keras.Model, Any, dict[str, list[float]]]:
    """A network that was trained for two epochs, its data and its history."""
    model, dataset, config = ready(*SGD, *typed)
    return model, dataset, fit(model, dataset, config).history


@pytest.mark.parametrize("validation", ["", "dataset.validation_size=0"])
def test_the_model_ends_with_the_moving_average_of_its_weights(validation: str) -> None:
    typed = [validation] if validation else []
    model, dataset, config = ready(*SGD, f"optimizer.ema_momentum={MOMENTUM}", "training.steps_per_execution=1", *typed)
    recorded = Recorded()
    original = model.fit
    model.fit = lambda *given, callbacks, **others: original(*given, callbacks=[*callbacks, recorded], **others)
    fitted = fit(model, dataset, config)
    steps_per_epoch = len(recorded.steps) // config.training.epochs
    average, *steps = recorded.steps[: fitted.best_epoch * steps_per_epoch]
    for step in steps:
        average = [MOMENTUM * mean + (1 - MOMENTUM) * weight for mean, weight in zip(average, step, strict=True)]
    for found, expected in zip(model.get_weights(), average, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_metrics_of_the_validation_split_are_those_of_the_averages() -> None:
    model, dataset, history = trained(f"optimizer.ema_momentum={MOMENTUM}")
    assert dataset.validation
    scores = model.evaluate(dataset.validation.images, dataset.validation.labels, verbose=0, return_dict=True)
    best = int(np.argmax(history["val_accuracy"]))
    assert history["val_loss"][best] == pytest.approx(scores["loss"], rel=1e-5)


def test_averages_do_not_change_the_training() -> None:
    plain, averaged = trained()[2], trained(f"optimizer.ema_momentum={MOMENTUM}")[2]
    assert averaged["loss"] == pytest.approx(plain["loss"], rel=1e-6)
    assert averaged["val_loss"] != plain["val_loss"]


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_accumulated_gradients_are_those_of_a_larger_batch(steps_per_execution: int) -> None:
    per_call = f"training.steps_per_execution={steps_per_execution}"
    model, dataset, config = ready(*SGD, "optimizer.gradient_accumulation_steps=2", "training.epochs=1", per_call)
    size = config.training.batch_size
    whole = len(dataset.train) - len(dataset.train) % (2 * size)
    larger, _, larger_config = ready(*SGD, f"training.batch_size={2 * size}", "training.epochs=1", per_call)
    for network, settings in ((model, config), (larger, larger_config)):
        fit(network, dataset.head(whole), settings)
    for found, expected in zip(model.get_weights(), larger.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_more_accumulated_batches_than_an_epoch_has_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^optimizer\.gradient_accumulation_steps: 5 batches .*an epoch has 4; use at"
    ):
        ready("optimizer.gradient_accumulation_steps=5")
