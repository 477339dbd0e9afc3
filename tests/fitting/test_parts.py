"""A batch in parts, each for a core of its own: the same training as of the whole batch."""

import keras
import numpy as np
import pytest

from src.fitting import fit
from src.fitting.parts import in_parts, parts_for
from src.models.arithmetic import multiply_adds
from tests.fitting.conftest import ready

LENOT = ["model=lenot", "training.steps_per_execution=2"]


def one_thread(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", str(cores))


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("images", [1, 2, 28])
def test_a_network_in_parts_answers_as_the_whole_one_however_small_the_batch(parts: int, images: int) -> None:
    model, dataset, _ = ready(*LENOT)
    batch = dataset.train.images[:images]
    np.testing.assert_allclose(in_parts(model, parts).predict_on_batch(batch), model.predict_on_batch(batch), atol=1e-6)


@pytest.mark.parametrize("batch_size", [28, 111])  # of 112 images: none, then one is left over
@pytest.mark.parametrize("cores", [2, 3])
def test_training_in_parts_is_the_same_training(cores: int, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_model, dataset, config = ready(*LENOT, f"training.batch_size={batch_size}")
    whole = fit(whole_model, dataset, config)
    one_thread(monkeypatch, cores)
    model, dataset, config = ready(*LENOT, f"training.batch_size={batch_size}")
    fitted = fit(model, dataset, config)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        assert fitted.history[name] == pytest.approx(whole.history[name], rel=1e-3)
    for ours, theirs in zip(model.get_weights(), whole_model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_network_in_parts_has_the_weights_themselves_in_the_same_order() -> None:
    model, *_ = ready(*LENOT)
    assert [id(weight) for weight in in_parts(model, 2).weights] == [id(weight) for weight in model.weights]


def test_parts_are_as_many_as_cores_where_operations_have_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    model, *_ = ready(*LENOT)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    assert parts_for(model) == 1
    one_thread(monkeypatch, 4)
    assert parts_for(model) == 4


def test_a_network_that_looks_at_the_batch_as_a_whole_is_not_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    one_thread(monkeypatch, 4)
    model, *_ = ready(*LENOT, "model.conv.0.batch_norm=true")
    assert parts_for(model) == 1
    assert in_parts(model, 1) is model


def test_parts_take_no_more_multiplications_than_the_whole() -> None:
    model, *_ = ready(*LENOT)
    assert multiply_adds(in_parts(model, 2)) == multiply_adds(model)


def test_the_last_layer_sees_the_whole_batch_so_that_the_loss_comes_from_what_goes_into_the_softmax() -> None:
    model, *_ = ready(*LENOT)
    divided = in_parts(model, 2)
    assert isinstance(divided, keras.Model)
    assert divided.layers[-1] is model.layers[-1]
