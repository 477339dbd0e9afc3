"""Patterns: filters and classes answer to them more than to gray, and a known filter has a known pattern."""

import keras
import numpy as np
import pytest
from keras import layers

from src.inspection import class_patterns, feature_maps, filter_patterns
from src.schema import ConvBlock
from tests.support.networks import SIDE, network

STEPS = 12


def as_pixels(patterns: np.ndarray) -> np.ndarray:
    return np.round(255 * patterns).astype(np.uint8)


def test_the_probability_of_a_class_is_higher_for_its_pattern_than_for_gray() -> None:
    model = network()
    found = class_patterns(model, [0, 1, 2], seed=1, steps=STEPS)
    assert (found.shape, found.dtype.name) == ((3, SIDE, SIDE, 1), "float32")
    assert 0 <= found.min() < found.max() <= 1
    gray = model(np.full((1, SIDE, SIDE, 1), 128, np.uint8)).numpy()[0]
    assert (model(as_pixels(found)).numpy().diagonal() > gray).all()


def test_the_same_seed_gives_the_same_patterns_and_another_seed_others() -> None:
    first, again, other = (class_patterns(network(), [0], seed, steps=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_filter_that_looks_for_vertical_edges_has_vertical_stripes() -> None:
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    maps = layers.Conv2D(2, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, layers.Dense(2, activation="softmax")(layers.GlobalMaxPooling2D()(maps)))
    edges = np.array([[-1, 2, -1]] * 3, np.float32)
    kernel = np.stack([edges, edges.T], axis=-1)[:, :, np.newaxis]
    model.get_layer("conv").set_weights([kernel, np.full(2, -100, np.float32)])  # no answer after the ReLU
    upright, lying = filter_patterns(model, "conv", [0, 1], seed=1)[..., 0]
    across, down = (np.abs(np.diff(upright, axis=axis)).mean() for axis in (1, 0))
    assert across > 2 * down
    across, down = (np.abs(np.diff(lying, axis=axis)).mean() for axis in (1, 0))
    assert down > 2 * across


def test_the_network_has_its_activations_afterwards() -> None:
    model = network(ConvBlock(filters=2))
    image = np.full((SIDE, SIDE, 1), 128, np.uint8)
    before = feature_maps(model, image)[0].maps
    filter_patterns(model, "conv_0", [0], seed=1, steps=1)
    np.testing.assert_array_equal(feature_maps(model, image)[0].maps, before)
    assert not [layer for layer in model.layers if "call" in vars(layer)]


@pytest.mark.parametrize("count", [1, 5])
def test_patterns_are_computed_in_batches(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.inspection.scores.MAX_IMAGES", 2)
    assert class_patterns(network(), [0] * count, seed=1, steps=1).shape == (count, SIDE, SIDE, 1)
