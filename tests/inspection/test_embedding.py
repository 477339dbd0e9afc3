"""The features that a classifier gets, and a map on which groups of them stay apart."""

import keras
import numpy as np
import pytest
from keras import layers

from src.inspection import embed, last_features
from src.schema import ConvBlock
from tests.support.networks import SIDE, nested_network, network

IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 1), dtype=np.uint8)


@pytest.mark.parametrize("limit", [128, 2])
def test_the_features_are_the_input_of_the_last_dense_layer(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.inspection.scores.MAX_IMAGES", limit)
    for model in (network(ConvBlock(filters=3)), nested_network()):
        until_there = keras.Model(model.input, model.layers[-1].input)
        np.testing.assert_allclose(last_features(model, IMAGES), until_there(IMAGES), atol=1e-5)


def test_a_softmax_after_the_classifier_does_not_count() -> None:
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    hidden = layers.Dense(7)(layers.Flatten()(layers.Rescaling(1 / 255)(pixels)))
    model = keras.Model(pixels, layers.Softmax()(layers.Dense(3)(hidden)))
    assert last_features(model, IMAGES).shape == (5, 7)


def test_groups_of_features_stay_apart_on_the_map() -> None:
    random = np.random.default_rng(0)
    centers = 10 * np.eye(3, 60)
    features = np.concatenate([random.normal(center, 1, (30, 60)) for center in centers]).astype(np.float32)
    places = embed(features, seed=1)
    assert places is not None
    groups = places.reshape(3, 30, 2)
    middles = groups.mean(axis=1)
    nearest = np.linalg.norm(places[:, np.newaxis] - middles, axis=2).argmin(axis=1)
    assert nearest.tolist() == [0] * 30 + [1] * 30 + [2] * 30


def test_the_same_seed_gives_the_same_map() -> None:
    features = np.random.default_rng(0).random((12, 4), np.float32)
    np.testing.assert_array_equal(embed(features, seed=1), embed(features, seed=1))


def test_features_that_are_all_equal_have_a_map_too() -> None:
    places = embed(np.ones((6, 3), np.float32), seed=1)
    assert places is not None
    assert np.isfinite(places).all()


def test_fewer_than_five_images_have_no_map() -> None:
    assert embed(np.zeros((4, 3), np.float32), seed=1) is None
