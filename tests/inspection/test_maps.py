"""Filters and feature maps, as numbers."""

import keras
import numpy as np
import pytest

from src.inspection import feature_maps, first_filters
from src.schema import ConvBlock
from tests.support.networks import SIDE, nested_network, network

IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 1), dtype=np.uint8)


def test_the_filters_of_the_first_convolution_are_separate_kernels() -> None:
    model = network(ConvBlock(filters=6, kernel_size=5), ConvBlock(filters=7, kernel_size=3), channels=3)
    kernel = model.get_layer("conv_0").kernel.numpy()  # (height, width, channels, filters)
    filters = first_filters(model)
    assert filters is not None
    assert (filters.name, filters.kernels.shape, filters.kernels.dtype.name) == ("conv_0", (6, 5, 5, 3), "float32")
    np.testing.assert_equal(filters.kernels, np.stack([kernel[..., index] for index in range(6)]))


@pytest.mark.parametrize("blocks", [[], [ConvBlock(filters=6, kernel_size=1)]])
def test_a_network_without_a_convolution_larger_than_one_pixel_has_no_filters(blocks: list[ConvBlock]) -> None:
    assert first_filters(network(*blocks)) is None


def test_a_one_by_one_convolution_is_skipped_and_a_depthwise_one_has_a_filter_for_each_channel() -> None:
    model = nested_network()
    filters = first_filters(model)
    assert filters is not None
    assert (filters.name, filters.kernels.shape) == ("backbone/block/conv", (4, 3, 3, 1))
    kernel = model.get_layer("backbone").get_layer("block").get_layer("conv").kernel.numpy()
    np.testing.assert_equal(filters.kernels[2, ..., 0], kernel[..., 2, 0])


def test_feature_maps_are_the_outputs_of_each_convolution() -> None:
    model = network(ConvBlock(filters=2, kernel_size=3, pool="max"), ConvBlock(filters=5, kernel_size=3, strides=2))
    found = feature_maps(model, IMAGE)
    assert [(maps.name, maps.maps.shape) for maps in found] == [("conv_0", (10, 10, 2)), ("conv_1", (2, 2, 5))]
    for name, maps in found:
        until_there = keras.Model(model.input, model.get_layer(name).output)
        np.testing.assert_allclose(maps, until_there(IMAGE[np.newaxis])[0], atol=1e-6)


def test_feature_maps_include_those_of_inner_models() -> None:
    found = feature_maps(nested_network(), IMAGE)
    assert [(maps.name, maps.maps.shape) for maps in found] == [
        ("seq/conv", (12, 12, 4)),
        ("backbone/block/conv", (12, 12, 4)),
        ("backbone/last", (5, 5, 5)),
    ]


def test_a_network_without_convolutions_has_no_feature_maps() -> None:
    assert feature_maps(network(), IMAGE) == []


def test_observing_leaves_the_network_unchanged() -> None:
    model = nested_network()
    before = model(IMAGE[np.newaxis]).numpy()
    feature_maps(model, IMAGE)
    inner = model.get_layer("backbone").get_layer("last")
    assert inner.output.shape == (None, 5, 5, 5)  # Keras refuses this once a layer was called twice
    assert "call" not in vars(inner)
    np.testing.assert_array_equal(model(IMAGE[np.newaxis]).numpy(), before)


def test_observing_leaves_the_network_unchanged_even_if_the_image_does_not_fit() -> None:
    model = network(ConvBlock(filters=2, kernel_size=3))
    with pytest.raises(ValueError, match="incompatible with the layer"):
        feature_maps(model, IMAGE[:5])
    assert not [layer for layer in model.layers if "call" in vars(layer)]
