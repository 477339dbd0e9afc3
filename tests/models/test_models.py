"""Every network of conf/model: its parameters layer by layer, its input and its output."""

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import pytest

from src.cli.compose import CONF, compose_config
from src.errors import ConfigError
from src.models import build_model, predict
from src.models.sketch import sketch_network
from src.saving.sizes import bytes_needed
from src.schema import BatchNormedConfig, ConvBlock, SequentialConfig


class Row(NamedTuple):
    """A network at the size it was published for."""

    input_shape: tuple[int, int, int]
    num_classes: int
    trainable: int
    layers: Sequence[int] = ()  # those that have any, in order
    total: int | None = None  # with moving statistics, where a source counts them


def excitation(stages: list[tuple[int, int]], ratio: int = 16) -> int:
    """Parameters of the two dense layers of every squeeze-and-excitation, by the channels and blocks of each stage."""
    return sum(
        blocks * ((channels + 1) * (channels // ratio) + (channels // ratio + 1) * channels)
        for channels, blocks in stages
    )


DIGITS = ((28, 28, 1), 10)
IMAGENET = ((224, 224, 3), 1000)
TABLE = {
    "alexnet": Row(*IMAGENET, 61_100_840),
    "cnn_64_64": Row(*DIGITS, 243_786, [640, 36_928, 204_928, 1_290]),
    "cnn_mnist_v1": Row(*DIGITS, 60_874, [160, 4_640, 18_496, 36_928, 650]),
    "cnn_mnist_v2": Row(*DIGITS, 93_322, [320, 18_496, 36_928, 36_928, 650]),
    "dense": Row(*DIGITS, 101_770, [100_480, 1_290]),
    "fashion_cnn": Row(*DIGITS, 1_413_834, [3_200, 73_856, 147_584, 295_168, 590_080, 295_040, 8_256, 650]),
    "googlenet": Row(*IMAGENET, 7_005_832),
    "hand_signs_cnn": Row((128, 128, 1), 26, 8_402_618, [160, 8_389_120, 13_338]),
    "inception_v3": Row((299, 299, 3), 1000, 23_817_352, total=23_851_784),
    "lenet5": Row(*DIGITS, 61_706, [156, 2_416, 48_120, 10_164, 850]),
    "lenot": Row(*DIGITS, 61_706, [156, 2_416, 48_120, 10_164, 850]),
    "resnet18": Row(*IMAGENET, 11_689_512),
    "resnet34": Row(*IMAGENET, 21_797_672),
    "resnet50": Row(*IMAGENET, 25_557_032),
    "se_resnet18": Row(*IMAGENET, 11_689_512 + excitation([(64, 2), (128, 2), (256, 2), (512, 2)])),
    "se_resnet50": Row(*IMAGENET, 25_557_032 + excitation([(256, 3), (512, 4), (1024, 6), (2048, 3)])),
    "transfer": Row(*IMAGENET, 1_281_000, total=3_538_984),  # MobileNetV2 as Keras counts it, the classifier to train
}
PLAIN = [name for name, row in TABLE.items() if row.layers]
EVERY_MODEL = pytest.mark.parametrize("name", TABLE)


@functools.cache
def built(name: str) -> keras.Model:
    height, width, _ = TABLE[name].input_shape
    images = ["dataset=synthetic", f"dataset.image_size=[{height},{width}]"]
    config = compose_config([f"model={name}", *images])
    return build_model(config.model, TABLE[name].input_shape, TABLE[name].num_classes)


def some_images(name: str, count: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, *TABLE[name].input_shape), dtype=np.uint8)


def test_every_model_file_has_its_row_and_every_row_its_file() -> None:
    assert {path.stem for path in CONF.glob("model/*.yaml")} == set(TABLE)


@EVERY_MODEL
def test_a_network_has_the_parameters_of_its_source(name: str) -> None:
    trainable = sum(weight.shape.num_elements() for weight in built(name).trainable_weights)
    assert trainable == TABLE[name].trainable
    assert TABLE[name].total in (None, built(name).count_params())


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_network_has_them_layer_by_layer(name: str) -> None:
    counts = [layer.count_params() for layer in built(name).layers]
    assert [count for count in counts if count] == list(TABLE[name].layers)


def test_squeeze_and_excitation_of_resnet50_is_what_its_authors_count() -> None:
    assert TABLE["se_resnet50"].trainable == 28_088_024


@EVERY_MODEL
def test_the_bytes_that_a_network_needs_are_known_from_its_configuration(name: str) -> None:
    bytes_taken = sum(variable.numpy().nbytes for variable in built(name).variables)
    assert bytes_needed(built(name).to_json()) == bytes_taken


@EVERY_MODEL
def test_a_network_takes_raw_bytes(name: str) -> None:
    assert [(tensor.dtype, tensor.shape[1:]) for tensor in built(name).inputs] == [("uint8", TABLE[name].input_shape)]


@EVERY_MODEL
def test_the_first_layer_turns_0_to_255_into_0_to_1(name: str) -> None:
    model = built(name)
    first = keras.Model(model.input, model.layers[1].output)
    black_and_white = np.stack([np.full(TABLE[name].input_shape, value, np.uint8) for value in (0, 255)])
    scaled = first(black_and_white).numpy()
    assert scaled.dtype == np.float32
    assert [np.unique(image).tolist() for image in scaled] == [[0.0], [1.0]]


@EVERY_MODEL
def test_a_network_returns_a_probability_for_each_class(name: str) -> None:
    returned = predict(built(name), some_images(name))
    assert (returned.shape, returned.dtype.name) == ((3, TABLE[name].num_classes), "float32")
    assert returned.min() >= 0
    assert returned.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


@EVERY_MODEL
def test_no_network_has_a_lambda_layer_which_no_safe_loader_would_read(name: str) -> None:
    assert '"class_name": "Lambda"' not in built(name).to_json()


@EVERY_MODEL
def test_a_network_is_named_after_its_file(name: str) -> None:
    assert built(name).name == name


@EVERY_MODEL
def test_a_network_with_batch_normalization_is_never_trained_in_parts(name: str) -> None:
    has_batch_norm = any(isinstance(layer, keras.layers.BatchNormalization) for layer in built(name).layers)
    model = compose_config([f"model={name}", "dataset=synthetic", "dataset.image_size=[224,224]"]).model
    assert not (has_batch_norm and model.is_divisible(28, 28, 1))


BATCH_NORM = "model.conv=[{filters:4,batch_norm:true}]"


@pytest.mark.parametrize("line", [["resnet18"], ["inception_v3"], ["googlenet"], ["lenot", BATCH_NORM]])
def test_batch_normalization_has_the_momentum_of_the_config(line: list[str]) -> None:
    name, *settings = line
    typed = compose_config([f"model={name}", "dataset=synthetic", *settings]).model
    assert isinstance(typed, BatchNormedConfig)
    of_an_earlier_version = replace(typed, batch_norm_momentum=BatchNormedConfig.batch_norm_momentum)
    for config, momentum in ((typed, 0.9), (of_an_earlier_version, 0.99)):
        layers = sketch_network(lambda _: build_model(config, (28, 28, 1), 10)).layers  # noqa: B023 - called at once
        found = {layer.momentum for layer in layers if isinstance(layer, keras.layers.BatchNormalization)}
        assert found == {momentum}


def test_the_weights_that_decide_about_parts_are_those_of_the_network() -> None:
    config = compose_config(["model=fashion_cnn", "dataset=fashion_mnist"]).model
    kernels = [weight for weight in built("fashion_cnn").trainable_weights if weight.name == "kernel"]
    count = sum(math.prod(kernel.shape) for kernel in kernels[:-1])  # those of the classifier are few
    with pytest.MonkeyPatch.context() as patch:
        for limit, is_divisible in ((count, True), (count - 1, False)):
            patch.setattr("src.schema.model.MAX_DIVISIBLE_WEIGHTS", limit)
            assert config.is_divisible(28, 28, 1) is is_divisible


def test_predictions_are_those_of_keras_with_nothing_dropped_out() -> None:
    images = some_images("fashion_cnn")
    model = built("fashion_cnn")
    np.testing.assert_allclose(predict(model, images), model.predict(images, verbose=0), atol=1e-6)


def test_images_are_resized_inside_the_model() -> None:
    config = compose_config(["model=lenot", "dataset=synthetic", "model.input_size=28"]).model
    model = build_model(config, (90, 70, 1), 10)
    assert model.input_shape == (None, 90, 70, 1)
    assert model.count_params() == TABLE["lenot"].trainable
    assert predict(model, np.zeros((2, 90, 70, 1), np.uint8)).shape == (2, 10)


def test_images_that_are_too_small_are_refused_before_anything_is_built() -> None:
    config = SequentialConfig(name="net", family="sequential", conv=[ConvBlock(filters=1, kernel_size=5)])
    with pytest.raises(ConfigError, match=r"model\.conv\.0\.kernel_size: 5 is larger than the 4x9 map"):
        build_model(config, (4, 9, 1), 10)
