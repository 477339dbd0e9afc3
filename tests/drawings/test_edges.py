"""The worked example of the documents: its arithmetic, compared with Keras, and its picture."""

import keras
import numpy as np
import pytest
from PIL import Image

from docs.drawings.__main__ import EDGES, edges_of_a_digit
from docs.drawings.edges import SOBEL, Step, edges_data, edges_text, plot_edges
from tests.support.figures import png

HALVES = np.repeat([[[0], [10]]], 4, axis=0).repeat(2, axis=1).astype(np.uint8)  # dark left, bright right: 4x4x1


def test_the_result_of_the_kernel_is_largest_at_an_edge() -> None:
    data = edges_data(HALVES)
    assert data.corner == (0, 0)
    assert data.sum_ == "-1·0 + 1·10 + -2·0 + 2·10 + -1·0 + 1·10 = 40"
    assert [step.values.tolist() for step in data.steps] == [
        [[40, 40], [40, 40]],
        [[0, 30, 30, -30], [0, 40, 40, -40], [0, 40, 40, -40], [0, 30, 30, -30]],
        [[40]],
        [[40]],
    ]


def keras_says(step: Step, digit: np.ndarray) -> np.ndarray:
    kernel = SOBEL[..., np.newaxis, np.newaxis].astype(np.float32)
    images = digit[np.newaxis, ..., np.newaxis].astype(np.float32)
    if step.name.startswith("max pool"):
        valid = keras.ops.conv(images, kernel, padding="valid")
        return np.asarray(keras.ops.max_pool(valid, 2))[0, ..., 0]
    padding = "same" if "same" in step.name else "valid"
    return np.asarray(keras.ops.conv(images, kernel, strides=2 if "2" in step.name else 1, padding=padding))[0, ..., 0]


@pytest.mark.parametrize("step", edges_of_a_digit().steps, ids=lambda step: step.name)
def test_a_step_has_the_values_of_keras_and_the_size_of_its_formula(step: Step) -> None:
    np.testing.assert_allclose(step.values, keras_says(step, edges_of_a_digit().digit))
    assert step.formula.endswith(f"= {len(step.values)}")


def test_the_picture_of_the_documents_shows_the_results_of_the_code() -> None:
    with Image.open(EDGES) as picture:
        assert picture.info["Description"].splitlines() == list(edges_text(edges_of_a_digit()))


def test_an_image_without_edges_is_drawn() -> None:
    assert png(plot_edges(edges_data(np.zeros((6, 6, 1), np.uint8))))
