"""The builder of sequential networks: the layers of each option, and the images that fit."""

from typing import Any

import keras
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from src.errors import ConfigError
from src.models.sequential import build_sequential
from src.schema import ConvBlock, SequentialConfig


def network(*blocks: dict[str, Any], **options: Any) -> keras.Model:
    """A network on 12x10 images of one channel with three classes; each block has 4 filters unless it says more."""
    conv = [ConvBlock(**{"filters": 4} | block) for block in blocks]
    config = SequentialConfig(name="net", family="sequential", conv=conv, **options)
    return build_sequential(config, (12, 10, 1), 3)


def layers(model: keras.Model) -> list[str]:
    """The kinds of its layers, between the scaled pixels and the probabilities."""
    return [type(layer).__name__ for layer in model.layers[2:-1]]


def shape(model: keras.Model, name: str) -> tuple[int, ...]:
    return tuple(model.get_layer(name).output.shape[1:])


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({}, (10, 8, 4)),  # a 3x3 kernel, stride 1, `valid`
        ({"kernel_size": 5}, (8, 6, 4)),
        ({"padding": "same"}, (12, 10, 4)),
        ({"strides": 2}, (5, 4, 4)),
        ({"strides": 3, "padding": "same"}, (4, 4, 4)),
        ({"filters": 7}, (10, 8, 7)),
    ],
)
def test_a_convolution_has_the_block_s_filters_kernel_strides_and_padding(
    block: dict[str, Any], expected: tuple[int, ...]
) -> None:
    assert shape(network(block), "conv_0") == expected


@pytest.mark.parametrize(
    ("block", "kinds", "expected"),
    [
        ({"pool": "max"}, ["Conv2D", "MaxPooling2D", "Flatten"], 5 * 4 * 4),
        ({"pool": "average"}, ["Conv2D", "AveragePooling2D", "Flatten"], 5 * 4 * 4),
        ({"pool": "max", "pool_size": 3}, ["Conv2D", "MaxPooling2D", "Flatten"], 3 * 2 * 4),
        ({"pool": None, "pool_size": 3}, ["Conv2D", "Flatten"], 10 * 8 * 4),
    ],
)
def test_a_block_pools_as_it_says_or_not_at_all(block: dict[str, Any], kinds: list[str], expected: int) -> None:
    model = network(block)
    assert layers(model) == kinds
    assert shape(model, "flatten") == (expected,)


def test_several_convolutions_may_come_before_a_pooling() -> None:
    model = network({}, {}, {"pool": "max"})
    assert layers(model) == ["Conv2D", "Conv2D", "Conv2D", "MaxPooling2D", "Flatten"]


def test_batch_normalization_comes_before_the_activation_and_replaces_the_bias() -> None:
    model = network({"batch_norm": True, "pool": "max"}, activation="tanh")
    assert layers(model) == ["Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "Flatten"]
    assert not model.get_layer("conv_0").use_bias
    activations = [model.get_layer(name).activation for name in ("conv_0", "activation_0")]
    assert activations == [keras.activations.linear, keras.activations.tanh]


def test_a_convolution_without_batch_normalization_has_a_bias() -> None:
    assert network({}).get_layer("conv_0").use_bias


def test_dropout_follows_every_hidden_dense_layer_and_no_other() -> None:
    model = network({}, dense=[6, 5], dropout=0.25)
    assert layers(model) == ["Conv2D", "Flatten", "Dense", "Dropout", "Dense", "Dropout"]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.25, 0.25]


def test_hidden_dense_layers_have_the_units_given_in_order() -> None:
    model = network(dense=[6, 5])
    assert layers(model) == ["Flatten", "Dense", "Dense"]
    assert [layer.units for layer in model.layers[3:]] == [6, 5, 3]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "leaky_relu"])
def test_the_activation_is_that_of_every_hidden_layer(activation: str) -> None:
    model = network({}, dense=[6], activation=activation)
    used = [model.get_layer(name).activation for name in ("conv_0", "dense_0", "probabilities")]
    assert used == [keras.activations.get(activation)] * 2 + [keras.activations.softmax]


def test_the_input_is_padded_on_all_four_sides_after_resizing() -> None:
    model = network({"kernel_size": 1}, input_size=6, input_padding=2)
    assert layers(model) == ["Resizing", "ZeroPadding2D", "Conv2D", "Flatten"]
    assert shape(model, "conv_0") == (10, 10, 4)


# --- which images pass ---------------------------------------------------------------------------------------------

SMALL = st.integers(1, 4)
BLOCKS = st.builds(
    ConvBlock,
    filters=st.integers(1, 2),
    kernel_size=SMALL,
    strides=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
    pool=st.sampled_from([None, "max", "average"]),
    pool_size=SMALL,
    batch_norm=st.booleans(),
)
NETWORKS = st.builds(
    SequentialConfig,
    name=st.just("net"),
    family=st.just("sequential"),
    input_size=st.none() | st.integers(1, 12),
    input_padding=st.integers(0, 2),
    conv=st.lists(BLOCKS, min_size=1, max_size=3),
    dense=st.lists(SMALL, max_size=1),
)


def passes(config: SequentialConfig, height: int, width: int) -> bool:
    try:
        config.check_input(height, width)
    except ConfigError:
        return False
    return True


def keras_builds(config: SequentialConfig, height: int, width: int) -> bool:
    """Whether Keras accepts it and no map is empty."""
    try:
        model = build_sequential(config, (height, width, 1), 2)
    except ValueError:
        return False
    return all(0 not in layer.output.shape for layer in model.layers)


def of_one(**block: Any) -> SequentialConfig:
    return SequentialConfig(name="net", family="sequential", conv=[ConvBlock(filters=1, **block)])


@settings(max_examples=25, deadline=None)
@given(config=NETWORKS, height=st.integers(1, 12), width=st.integers(1, 12))
@example(config=of_one(kernel_size=4), height=4, width=9)
@example(config=of_one(kernel_size=4), height=9, width=3)
@example(config=of_one(kernel_size=1, pool="max", pool_size=3), height=3, width=3)
@example(config=of_one(kernel_size=1, pool="max", pool_size=3), height=3, width=2)
def test_a_network_is_refused_exactly_when_keras_cannot_build_it(
    config: SequentialConfig, height: int, width: int
) -> None:
    event(f"passes: {passes(config, height, width)}")
    assert passes(config, height, width) == keras_builds(config, height, width)
