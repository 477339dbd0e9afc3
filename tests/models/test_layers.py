"""Layers that several networks share."""

import keras
import numpy as np
import pytest

from src.models.layers import pixels, probabilities


def returned_by(outputs: keras.KerasTensor, inputs: keras.KerasTensor, values: np.ndarray) -> np.ndarray:
    return keras.Model(inputs, outputs)(values).numpy()


def test_pixels_are_scaled_from_bytes_to_fractions() -> None:
    inputs, images = pixels((2, 3, 1), input_size=None)
    assert (inputs.dtype, inputs.shape) == ("uint8", (None, 2, 3, 1))
    bytes_in = np.array([[[[0], [51], [102]], [[153], [204], [255]]]], np.uint8)
    fractions = returned_by(images, inputs, bytes_in)
    np.testing.assert_allclose(fractions.ravel(), [0, 0.2, 0.4, 0.6, 0.8, 1], atol=1e-6)


@pytest.mark.parametrize("input_size", [1, 4, 10])
def test_pixels_are_resized_to_a_square_of_the_given_size(input_size: int) -> None:
    inputs, images = pixels((6, 4, 3), input_size)
    resized = returned_by(images, inputs, np.full((2, 6, 4, 3), 51, np.uint8))
    assert resized.shape == (2, input_size, input_size, 3)
    np.testing.assert_allclose(resized, 0.2, atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_probabilities_are_float32_and_add_up_to_1_under_any_precision(policy: str) -> None:
    inputs = keras.Input((5,))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        outputs = probabilities(inputs, 1_000)
    finally:
        keras.config.set_dtype_policy(before)
    returned = returned_by(outputs, inputs, np.random.default_rng(0).normal(0, 10, (4, 5)))
    assert (returned.dtype.name, returned.shape) == ("float32", (4, 1_000))
    assert returned.sum(axis=1) == pytest.approx([1] * 4, abs=1e-5)


def test_resizing_leaves_the_layers_after_it_in_inference() -> None:
    inputs, images = pixels((6, 4, 1), input_size=8)
    model = keras.Model(inputs, keras.layers.BatchNormalization(epsilon=0)(images))
    np.testing.assert_allclose(model(np.full((1, 6, 4, 1), 51, np.uint8)), 0.2, atol=1e-6)
