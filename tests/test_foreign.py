"""Code that users wrote: what it returns is checked before anything is trained, and its errors are sentences."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
import pytest
import tensorflow as tf
from keras import layers

from src import saving
from src.datasets import load_dataset
from src.datasets.arrays import Arrays
from src.errors import ModelFileError, UserError
from src.fitting.augmentation import check_augmentation
from src.fitting.losses import build_loss, check_loss
from src.fitting.metrics import metrics_in_epoch, metrics_of
from src.foreign import describe_error, explain_errors, is_foreign
from src.models import build_model
from src.schema import (
    METRICS,
    AugmentationConfig,
    CrossEntropyConfig,
    DatasetConfig,
    LossConfig,
    Metric,
    ModelConfig,
    PrunerConfig,
)
from src.study.sampling import build_pruner
from tests.support.configs import IMAGES

pytestmark = pytest.mark.usefixtures("extensions_forgotten")

SHAPE, CLASSES = (8, 8, 1), 3
HERE = "tests.test_foreign:built"
built: Callable[..., Any]  # what the kinds of this file build


def build_with(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]) -> None:
    monkeypatch.setattr("tests.test_foreign.built", function, raising=False)


# --- errors --------------------------------------------------------------------------------------------------------


class ResourceExhaustedError(Exception):
    """It has the name of TensorFlow's."""


@pytest.mark.parametrize(
    ("module", "expected"), [("src.models", False), ("pipelines", False), ("my_networks.a", True), ("srcs", True)]
)
def test_a_module_outside_this_project_is_foreign(module: str, expected: bool) -> None:
    assert is_foreign(module) is expected


def test_an_error_is_one_sentence_with_the_line_of_the_users_code() -> None:
    with pytest.raises(UserError) as raised, explain_errors("loss mine: mine:build"):
        int("a\nb")
    message = r"loss mine: mine:build failed: ValueError: invalid literal .* \(.*/test_foreign\.py, line \d+\); HYDRA"
    assert raised.match(f"^{message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("error", [UserError("said well"), MemoryError("no memory"), ResourceExhaustedError("OOM")])
def test_an_error_that_is_explained_elsewhere_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, explain_errors("x"):
        raise error
    assert raised.value is error


def test_an_error_in_a_library_names_the_users_line_that_called_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing") as raised:
        (tmp_path / "missing").read_text()
    assert re.search(r"\(.*/test_foreign\.py, line \d+\)$", describe_error(raised.value))


# --- networks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def network() -> ModelConfig:
    @dataclass(kw_only=True)
    class OwnConfig(ModelConfig, kind="own", builds=HERE): ...

    return OwnConfig(name="own")


def given(*steps: Any, dtype: str = "uint8") -> keras.Sequential:
    return keras.Sequential([keras.Input(SHAPE, dtype=dtype), layers.Rescaling(1 / 255), layers.Flatten(), *steps])


def softmax(units: int = CLASSES) -> layers.Layer:
    return layers.Dense(units, activation="softmax")


def subclass() -> keras.Model:
    class Own(keras.Model): ...

    return Own()


NETWORKS: list[tuple[Callable[[], Any], str]] = [
    (lambda: None, "returned NoneType, expected Model"),
    (lambda: 1 / 0, "failed: ZeroDivisionError: division by zero"),
    (lambda: sys.exit(), r"failed: SystemExit \("),
    (lambda: keras.Sequential([softmax()]), r"without a keras\.Input; begin it with one"),
    (subclass, r"without a keras\.Input; begin it with one"),
    (lambda: given(softmax(), dtype="float32"), r"a network for float32 \(8, 8, 1\); expected one input, raw pixels"),
    (lambda: given(softmax(4)), r"with output \(4,\); expected one probability for each of 3 classes"),
    (lambda: given(layers.Dense(CLASSES)), "whose outputs sum to 0, not to 1: they are not probabilities"),
]


@pytest.mark.parametrize(("make", "sentence"), NETWORKS)
def test_a_network_that_cannot_be_trained_is_refused(
    make: Callable[[], Any], sentence: str, network: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_with(monkeypatch, lambda *_: make())
    with pytest.raises(UserError, match=f"^model own: {HERE} .*{sentence}"):
        build_model(network, SHAPE, CLASSES)


def test_a_sequential_network_becomes_a_functional_one(network: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    build_with(monkeypatch, lambda *_: given(softmax()))
    model = build_model(network, SHAPE, CLASSES)
    assert (type(model), model.name) == (keras.Model(model.input, model.output).__class__, "own")


def own_layer() -> layers.Layer:
    class Own(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

    return Own()


def without_config() -> layers.Layer:
    class Own(layers.Layer):
        def get_config(self) -> Any:
            raise KeyError("nothing")

        def call(self, inputs: Any) -> Any:
            return inputs

    return Own()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (own_layer, "it names tests.test_foreign.Own, which is not part of Keras"),
        (without_config, "KeyError: 'nothing'"),
        (lambda: layers.Lambda(lambda values: values), "it has a Lambda layer, which can run any code"),
    ],
)
def test_a_network_that_could_not_be_read_back_is_refused(make: Callable[[], layers.Layer], reason: str) -> None:
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, make()(inputs))
    with pytest.raises(ModelFileError, match=f"^the network .* could not be read back after its training: .*{reason}"):
        saving.check_savable(model)


# --- data sets -----------------------------------------------------------------------------------------------------

PIXELS, LABELS = np.zeros((6, *IMAGES["image_size"], IMAGES["channels"]), np.uint8), np.arange(6, dtype=np.uint8) % 3
DATA: list[tuple[dict[str, Any], str]] = [
    ({"train_images": PIXELS / 255}, r"returned train images float64 \(6, .*; expected images uint8"),
    ({"test_images": PIXELS[:0], "test_labels": LABELS[:0]}, "returned test images uint8 .*at least one"),
    ({"train_labels": LABELS[:3]}, r"with labels uint8 \(3,\); expected .* as many labels"),
    ({"train_labels": np.eye(3)[LABELS]}, r"with labels float64 \(6, 3\)"),
    ({"test_labels": LABELS.astype(int) - 1}, "returned the label -1; expected 0 or more"),
    ({"train_files": ["a.png"]}, "returned train images"),
    ({"validation_size": -3}, "returned validation_size=-3; expected 0 or more"),
]


def arrays(**changes: Any) -> Arrays:
    whole: dict[str, Any] = {
        "train_images": PIXELS,
        "train_labels": LABELS,
        "test_images": PIXELS,
        "test_labels": LABELS,
    }
    return Arrays(**whole | {"validation_size": 2, "source": "synthetic"} | changes)


@pytest.fixture
def data() -> DatasetConfig:
    @dataclass(kw_only=True)
    class OwnConfig(DatasetConfig, kind="own", builds=HERE): ...

    return OwnConfig(name="own", **IMAGES | {"class_names": ["a", "b", "c"]})


@pytest.mark.parametrize(("changes", "sentence"), DATA)
def test_arrays_that_are_not_a_data_set_are_refused(
    changes: dict[str, Any], sentence: str, data: DatasetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_with(monkeypatch, lambda _: arrays(**changes))
    with pytest.raises(UserError, match=f"^dataset own: {HERE} .*{sentence}"):
        load_dataset(data)


def test_arrays_that_are_a_data_set_are_loaded(data: DatasetConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    build_with(monkeypatch, lambda _: arrays())
    assert len(load_dataset(data).train) == 4


# --- losses, augmentations, pruners, metrics -----------------------------------------------------------------------


def loss_of(call: Callable[..., Any], **settings: Any) -> keras.losses.Loss:
    class Own(keras.losses.Loss):
        def call(self, labels: Any, probabilities: Any) -> Any:
            return call(labels, probabilities)

    return Own(**settings)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: lambda labels, probabilities: 0.0, "returned function, expected Loss"),
        (lambda: loss_of(lambda labels, probabilities: labels.nothing), "failed: AttributeError"),
        (lambda: loss_of(lambda labels, probabilities: keras.ops.mean(probabilities)), r"gave values of the .* \(\)"),
        (lambda: loss_of(lambda labels, probabilities: probabilities[:, 0], reduction=None), r"\(2,\) and \(2,\)"),
    ],
)
def test_a_loss_that_gives_no_number_for_each_image_is_refused(
    make: Callable[[], Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(kw_only=True)
    class OwnConfig(LossConfig, kind="own", builds=HERE): ...

    build_with(monkeypatch, make)
    with pytest.raises(UserError, match=f"^loss own: {HERE} .*{sentence}"):
        check_loss(build_loss(OwnConfig()), OwnConfig(), CLASSES)


@pytest.mark.parametrize(
    ("augment", "sentence"),
    [
        (lambda images: tf.cast(images, tf.float32) / 255, r"gave float32 \(2, 8, 8, 1\) for uint8 \(2, 8, 8, 1\)"),
        (lambda images: images[:, 1:], r"gave uint8 \(2, 7, 8, 1\) for uint8"),
        (lambda images: images[:1], r"gave uint8 \(1, 8, 8, 1\) for uint8"),
        (lambda images: images.nothing, "failed: AttributeError"),
    ],
)
def test_an_augmentation_that_returns_other_images_is_refused(
    augment: Callable[..., Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(kw_only=True)
    class OwnConfig(AugmentationConfig, kind="own", builds=HERE): ...

    build_with(monkeypatch, lambda config, seed: augment)
    with pytest.raises(UserError, match=f"^augmentation own: the function that {HERE} returns .*{sentence}"):
        check_augmentation(OwnConfig(), 1, np.zeros((2, *SHAPE), np.uint8))


@pytest.mark.parametrize(
    ("make", "sentence"), [(lambda: None, "returned NoneType, expected BasePruner"), (lambda: 1 / 0, "failed: ZeroDiv")]
)
def test_a_builder_of_a_pruner_that_fails_is_explained(
    make: Callable[[], Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(kw_only=True)
    class OwnConfig(PrunerConfig, kind="own", builds=HERE): ...

    build_with(monkeypatch, make)
    with pytest.raises(UserError, match=f"^pruner own: {HERE} {sentence}"):
        build_pruner(OwnConfig())
    build_with(monkeypatch, optuna.pruners.NopPruner)
    assert isinstance(build_pruner(OwnConfig()), optuna.pruners.NopPruner)


def declare_metric(in_epoch: str = "keras.metrics:Mean", in_test: str | None = None) -> None:
    METRICS["own"] = Metric(direction="maximize", label="own", in_epoch=in_epoch, in_test=in_test)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda name: None, "returned None, expected a Keras metric"),
        (lambda name: keras.metrics.Mean(name="other"), "expected a Keras metric with the name 'own'"),
        (lambda: None, "failed: TypeError"),
    ],
)
def test_a_metric_that_cannot_be_computed_in_an_epoch_is_refused(
    make: Callable[..., Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_with(monkeypatch, make)
    declare_metric(in_epoch=HERE)
    with pytest.raises(UserError, match=f"^metric own: {HERE} .*{sentence}"):
        metrics_in_epoch()


@pytest.mark.parametrize("make", [lambda labels, probabilities: None, lambda labels: 1.0, lambda labels, p: p])
def test_a_metric_that_gives_no_number_for_the_test_split_is_explained(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    build_with(monkeypatch, make)
    declare_metric(in_test=HERE)
    with pytest.raises(UserError, match=f"^metric own: {HERE} failed: TypeError"):
        metrics_of(LABELS, np.full((6, 3), 1 / 3, np.float32), CrossEntropyConfig())
