"""The functions that train and score groups of batches give what Keras' own functions give."""

import contextlib
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from src import fitting
from src.fitting import epochs, fit
from tests.support.training import ready

FIXED = ["model.dropout=0.3", "training.metrics=[accuracy,macro_f1]", "augmentation=digits", "model.dense=[8]"]


def trained(*overrides: str) -> tuple[dict[str, list[float]], list[Any]]:
    model, dataset, config = ready(*FIXED, *overrides)
    history = fit(model, dataset, config).history
    return {name: values for name, values in history.items() if "second" not in name}, model.get_weights()


@pytest.mark.parametrize("group", [3, 9])  # of the four batches of an epoch
def test_history_and_weights_are_those_of_keras_own_functions(group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history, weights = trained(f"training.steps_per_execution={group}")
    monkeypatch.setattr(epochs, "own_steps", lambda *_: contextlib.nullcontext())
    expected, of_keras = trained(f"training.steps_per_execution={group}")
    assert history == expected
    for one, other in zip(weights, of_keras, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_step_is_traced_once_although_its_last_batch_and_its_last_group_are_smaller() -> None:
    model, dataset, config = ready("training.batch_size=50", "training.steps_per_execution=2", "training.epochs=3")
    assert len(dataset.train) % 50
    assert math.ceil(len(dataset.train) / 50) % 2
    traced: Counter[str] = Counter()
    for name in ("train_step", "test_step"):
        step = getattr(model, name)

        def count(data: Any, name: str = name, step: Any = step) -> Any:
            traced[name] += 1
            return step(data)

        setattr(model, name, count)
    fitting.fit(model, dataset, config)
    assert traced == {"train_step": 1, "test_step": 1}


def test_a_trained_model_scores_all_batches_of_other_data() -> None:
    model, dataset, config = ready()
    fit(model, dataset, config)
    images, labels = dataset.test.images[:150], dataset.test.labels[:150]  # five batches; the validation split has one
    scored = model.evaluate(images, labels, verbose=0, return_dict=True)
    right = (model.predict(images, verbose=0).argmax(axis=1) == labels).mean()
    assert scored["accuracy"] == pytest.approx(right, abs=1e-6)
