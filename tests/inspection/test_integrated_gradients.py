"""Integrated gradients: the sum is the difference of the scores, and linear networks have known shares."""

import keras
import numpy as np
import pytest
from keras import layers

from src.inspection import integrated_gradients
from src.inspection.integrated_gradients import MAX_GAP, Attributions
from src.inspection.scores import float_images, scores_of
from src.schema import ConvBlock
from tests.support.networks import SIDE, nested_network, network

IMAGES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 1), dtype=np.uint8)
CLASSES = [2, 0, 1]


def bent_network() -> keras.Model:
    """A network that is far from linear."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    features = layers.Rescaling(1 / 255)(pixels)
    features = layers.Conv2D(4, 3, activation="gelu")(features)
    features = layers.Dense(8, activation="tanh")(layers.Flatten()(features))
    scores = layers.Dense(3)(features)
    return keras.Model(pixels, layers.Softmax()(scores))


NETWORKS = {
    "convolutions": lambda: network(ConvBlock(filters=6, batch_norm=True), ConvBlock(filters=6)),
    "dense": network,
    "models as layers": nested_network,
    "bent": bent_network,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_attributions_sum_to_the_difference_of_the_scores(name: str) -> None:
    model = NETWORKS[name]()
    found = integrated_gradients(model, IMAGES, CLASSES)
    scores = scores_of(model, float_images(model, IMAGES), CLASSES).numpy()
    black = scores_of(model, float_images(model, np.zeros_like(IMAGES)), CLASSES).numpy()
    np.testing.assert_allclose(found.differences, scores - black, atol=1e-5)
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), scores - black, rtol=MAX_GAP, atol=1e-5)
    assert found.gaps.max() <= MAX_GAP


def trained_network() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A network that is sure of the place of a bright square, some images of it, and their labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (96, SIDE, SIDE, 1), dtype=np.uint8)
    labels = rng.integers(0, 3, len(images))
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 4, 4:8] += 190
    model = network(ConvBlock(filters=6), ConvBlock(filters=6))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=40, verbose=0)
    return model, images, labels


def test_with_enough_steps_the_attributions_of_a_trained_network_are_complete() -> None:
    model, images, labels = trained_network()
    probabilities = model(images).numpy()
    assert (probabilities.argmax(axis=1) == labels).all()
    assert probabilities.max(axis=1).mean() > 0.99
    found = integrated_gradients(model, images[:6], labels[:6].tolist(), steps=[256])
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), found.differences, rtol=0.01)
    assert np.abs(found.differences).min() > 1


def test_with_few_steps_the_gap_is_what_is_missing() -> None:
    found = integrated_gradients(bent_network(), IMAGES, CLASSES, steps=[1])
    missing = np.abs(found.maps.sum(axis=(1, 2)) - found.differences)
    np.testing.assert_allclose(found.gaps, missing / np.abs(found.differences), rtol=1e-3)
    assert found.gaps.max() > MAX_GAP


def test_an_image_with_the_score_of_a_black_one_does_not_decide_about_the_gap_of_all() -> None:
    found = Attributions(
        np.zeros((2, 1, 1), np.float32), np.array([10, 0], np.float32), np.array([0.1, 0.05], np.float32)
    )
    assert found.gaps[1] > 1_000
    assert found.gap == pytest.approx(0.015)


def test_the_share_of_a_pixel_in_a_linear_score_is_its_value_times_its_weight() -> None:
    pixels = keras.Input((2, 2, 3), dtype="uint8")
    features = layers.Flatten()(layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, layers.Dense(2, activation="softmax", name="out")(features))
    weights, _ = model.get_layer("out").get_weights()
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    expected = (image[0] / 255 * weights[:, 1].reshape(2, 2, 3)).sum(axis=-1)
    np.testing.assert_allclose(integrated_gradients(model, image, [1]).maps[0], expected, atol=1e-6)


def test_a_black_image_has_no_shares() -> None:
    found = integrated_gradients(network(), np.zeros_like(IMAGES), CLASSES)
    assert not found.maps.any()
    assert found.gaps.tolist() == [0, 0, 0]
