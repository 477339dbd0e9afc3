"""Grad-CAM against its formula."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import layers

from src.errors import ConfigError
from src.inspection import grad_cam
from src.schema import ConvBlock
from tests.support.networks import SIDE, nested_network, network

IMAGES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 1), dtype=np.uint8)


def heat_of(*arguments: Any) -> npt.NDArray[np.float32]:
    heat = grad_cam(*arguments)
    assert heat is not None
    return heat


def two_halves() -> keras.Model:
    """Class 0 for light above, class 1 for light below, by maps whose weights can be written down."""
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    maps = layers.Conv2D(2, 1, use_bias=False, name="conv")(layers.Rescaling(1 / 255)(pixels))
    upper = layers.Cropping2D(((0, 4), (0, 0)))(maps)
    lower = layers.Cropping2D(((4, 0), (0, 0)))(maps)
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(half) for half in (upper, lower)])
    model = keras.Model(pixels, layers.Dense(2, activation="softmax", name="probabilities")(pooled))
    model.get_layer("conv").set_weights([np.array([[[[1.0, 2.0]]]], np.float32)])
    kernel = np.array([[1, 0], [0, -1], [0, 2], [0, 1]], np.float32)  # upper maps 0 and 1, lower maps 0 and 1
    model.get_layer("probabilities").set_weights([kernel, np.zeros(2, np.float32)])
    return model


@pytest.mark.parametrize(("of", "expected"), [(0, [[0.0, 0.5], [0.75, 1.0]]), (1, [[0.0, 0.5], [0.75, 1.0]])])
def test_the_heat_is_the_maps_weighed_by_their_mean_gradients(of: int, expected: list[list[float]]) -> None:
    # Mean gradients of class 0: (1, 0) / 64, so the heat is the first map, the image itself; of class 1:
    # (2, -1 + 1) / 64, so it is that map again. Divided by its largest value, both are the image divided by its own.
    corners = np.array([[0, 100], [150, 200]], np.uint8)
    image = np.kron(corners, np.ones((4, 4), np.uint8))[np.newaxis, ..., np.newaxis]
    assert heat_of(two_halves(), image, [of], "conv")[0, ::4, ::4] == pytest.approx(np.array(expected))


def test_evidence_against_a_class_has_no_heat() -> None:
    model = two_halves()
    model.get_layer("probabilities").set_weights([-np.ones((4, 2), np.float32), np.zeros(2, np.float32)])
    assert not heat_of(model, np.full((1, 8, 8, 1), 200, np.uint8), [0]).any()


def test_a_certain_model_still_has_heat_because_the_score_is_taken_before_the_softmax() -> None:
    model = two_halves()
    model.get_layer("probabilities").set_weights([w * 1e4 for w in model.get_layer("probabilities").get_weights()])
    image = np.full((1, 8, 8, 1), 200, np.uint8)
    assert model(image).numpy().max() == 1.0
    assert heat_of(model, image, [0]).max() == 1.0


def test_the_layer_is_the_last_whose_maps_are_as_large_as_those_of_the_last_convolution() -> None:
    blocks = [ConvBlock(filters=4, pool="max"), ConvBlock(filters=5, batch_norm=True, pool="max")]
    model, classes = network(*blocks), [0, 1, 2]
    chosen, last = heat_of(model, IMAGES, classes), heat_of(model, IMAGES, classes, "activation_1")
    np.testing.assert_array_equal(chosen, last)
    assert not np.array_equal(chosen, heat_of(model, IMAGES, classes, "conv_1"))


@pytest.mark.parametrize("classes", [[0, 0, 0], [2, 1, 0]])
def test_a_batch_gives_the_same_heat_as_its_images_alone(classes: list[int]) -> None:
    model = network(ConvBlock(filters=6), ConvBlock(filters=6))
    alone = [heat_of(model, IMAGES[index : index + 1], [of])[0] for index, of in enumerate(classes)]
    np.testing.assert_allclose(heat_of(model, IMAGES, classes), np.stack(alone), atol=1e-5)


def test_layers_of_inner_models_count_even_if_they_are_frozen() -> None:
    model = nested_network()
    chosen, last, early = (heat_of(model, IMAGES, [0, 1, 2], name) for name in (None, "backbone/relu", "seq/conv"))
    np.testing.assert_array_equal(chosen, last)
    assert [heat.shape for heat in (chosen, early)] == [(3, SIDE, SIDE)] * 2
    assert np.ptp(early) > 0


def test_a_network_without_convolutions_has_no_grad_cam() -> None:
    assert grad_cam(network(), IMAGES, [0, 0, 0]) is None


def test_a_layer_that_does_not_exist_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"net has no layer 'conv0' .* did you mean 'conv_0'\? known: .*conv_0"):
        grad_cam(network(ConvBlock(filters=2)), IMAGES, [0, 0, 0], layer="conv0")
