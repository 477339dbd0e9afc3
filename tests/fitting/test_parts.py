"""A batch in parts, each for a core of its own: the same training as of the whole batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from src.cli.compose import compose_config
from src.fitting import compile_model, epochs, fit
from src.fitting.devices import precision
from src.fitting.parts import describe_device, in_parts, parts_for
from src.models.arithmetic import multiply_adds
from tests.support.training import ready

pytestmark = pytest.mark.services  # they train several times

LENOT = ["model=lenot", "model.dense=[20]", "training.steps_per_execution=2"]


@pytest.fixture(autouse=True)
def whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No parts until a test asks for them, even if the variable was set before."""
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of parts that networks were divided into."""
    seen: list[int] = []

    def noted(model: keras.Model, parts: int) -> keras.Model:
        seen.append(parts)
        return in_parts(model, parts)

    monkeypatch.setattr(epochs, "in_parts", noted)
    return seen


def one_thread(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", str(cores))
    monkeypatch.setattr("src.fitting.dividing.cores", lambda: cores)  # not the machine's


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("images", [1, 2, 28])
def test_a_network_in_parts_predicts_the_same_for_a_batch_of_any_size(parts: int, images: int) -> None:
    model, dataset, _ = ready(*LENOT)
    batch = dataset.train.images[:images]
    np.testing.assert_allclose(in_parts(model, parts).predict_on_batch(batch), model.predict_on_batch(batch), atol=1e-6)


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.batch_size=28"],
        ["training.batch_size=111"],  # one of 112 images is left over
        ["training.class_weights=balanced"],
        ["optimizer=adam", "optimizer.clipnorm=0.01"],
    ],
)
@pytest.mark.parametrize("cores", [2, 3])
def test_training_in_parts_is_the_same_training(
    cores: int, overrides: list[str], monkeypatch: pytest.MonkeyPatch, divided: list[int]
) -> None:
    whole_model, dataset, config = ready(*LENOT, *overrides)
    whole = fit(whole_model, dataset, config)
    one_thread(monkeypatch, cores)
    model, dataset, config = ready(*LENOT, *overrides)
    fitted = fit(model, dataset, config)
    assert divided == [1, cores]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        assert fitted.history[name] == pytest.approx(whole.history[name], rel=1e-3)
    for ours, theirs in zip(model.get_weights(), whole_model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_network_in_parts_has_the_same_weight_objects_in_the_same_order() -> None:
    model, *_ = ready(*LENOT)
    assert [id(weight) for weight in in_parts(model, 2).weights] == [id(weight) for weight in model.weights]


def test_there_is_a_part_for_each_core_if_operations_have_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config(["model=lenot"])
    assert parts_for(config) == 1
    one_thread(monkeypatch, 4)
    assert parts_for(config) == 4


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=lenot", "model.conv.0.batch_norm=true"],
        ["model=lenot", "training.deterministic=true"],
        ["model=dense", "model.dense=[4000]"],
        ["model=resnet18"],
        ["model=transfer"],
    ],
)
def test_batches_are_not_divided_if_that_gains_nothing_or_changes_results(
    overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_thread(monkeypatch, 4)
    assert parts_for(compose_config(["dataset=synthetic", *overrides])) == 1


def test_on_many_cores_operations_are_divided_and_batches_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one_thread(monkeypatch, 8)
    assert parts_for(compose_config(["model=lenot"])) == 1


IMPORTED = "; batches are not divided among them (TensorFlow was imported before the training)"


@pytest.mark.parametrize(
    ("overrides", "cores", "setting", "text"),
    [
        (["model=lenot"], 2, "1", "CPU, 2 threads, each batch in 2 parts"),
        (["model=lenot"], 1, None, "CPU, 1 thread"),
        (["model=lenot"], 2, None, f"CPU, 2 threads{IMPORTED}"),
        (["model=lenot"], 2, "4", "CPU, 2 threads; batches are not divided among them (TF_NUM_INTRAOP_THREADS=4)"),
        (["model=lenot", "training.deterministic=true"], 2, None, "CPU, 2 threads"),
        (["model=resnet18"], 2, "1", "CPU, 2 threads"),
    ],
)
def test_the_device_is_described_with_the_reason_why_batches_are_not_divided(
    overrides: list[str], cores: int, setting: str | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_thread(monkeypatch, cores)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    if setting:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", setting)
    assert describe_device(compose_config(["dataset=synthetic", *overrides])) == text


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_network_in_parts_computes_in_the_precision_of_the_whole(policy: str) -> None:
    with precision(policy):
        model, _, config = ready(*LENOT, f"training.precision={policy}")
    trained = in_parts(model, 2)
    compile_model(trained, config, 4)
    assert trained.dtype_policy == model.dtype_policy
    assert type(trained.optimizer) is type(model.optimizer)  # float16 wants one that scales the loss


def test_parts_take_no_more_multiplications_than_the_whole() -> None:
    model, *_ = ready(*LENOT)
    assert multiply_adds(in_parts(model, 2)) == multiply_adds(model)


@pytest.mark.parametrize("parts", [1, 2])
def test_loss_and_accuracy_come_from_what_goes_into_the_softmax(parts: int) -> None:
    model, dataset, config = ready(*LENOT)
    trained = in_parts(model, parts)
    compile_model(trained, config, 4)
    images, labels = tf.constant(dataset.train.images[:28]), tf.constant(dataset.train.labels[:28].astype("int32"))
    train = tf.function(trained.train_step).get_concrete_function((images, labels))
    softmax = next(each for each in train.graph.get_operations() if each.type == "Softmax")
    assert not [each for output in softmax.outputs for each in output.consumers() if each.type == "ArgMax"]
    assert "ArgMax" in {each.type for each in train.graph.get_operations()}
