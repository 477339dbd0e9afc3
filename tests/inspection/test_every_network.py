"""The methods that look inside a network, on every network of conf/model."""

import functools

import keras
import numpy as np
import pytest

from src.cli.compose import CONF, compose_config
from src.inspection import (
    class_patterns,
    embed,
    filter_patterns,
    grad_cam,
    integrated_gradients,
    last_features,
    map_layers,
    occlusion_maps,
)
from src.models import build_model

SMALL = {"alexnet": 63, "inception_v3": 32, "hand_signs_cnn": 32}  # pixels a side, 28 for all others
QUICK = ("dense", "lenot", "resnet18", "transfer")  # one of each kind; the others are slow
NAMES = sorted(path.stem for path in CONF.glob("model/*.yaml"))
every_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NAMES]
)


@functools.cache
def built(name: str) -> keras.Model:
    side = SMALL.get(name, 28)
    images = ["dataset=synthetic", f"dataset.image_size=[{side},{side}]"]
    return build_model(compose_config([f"model={name}", *images]).model, (side, side, 1), 10)


@every_network
def test_every_network_has_a_heat_map_or_no_convolution(name: str) -> None:
    side = SMALL.get(name, 28)
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 1), dtype=np.uint8)
    if name == "dense":
        assert grad_cam(built(name), images, [0, 9]) is None
    else:
        heat = grad_cam(built(name), images, [0, 9])
        assert heat is not None
        assert (heat.shape, heat.dtype.name) == ((2, side, side), "float32")
        assert heat.min() >= 0
        assert heat.max() <= 1


@every_network
def test_the_pixels_of_every_network_have_gradients(name: str) -> None:
    side = SMALL.get(name, 28)
    images = np.random.default_rng(0).integers(0, 256, (1, side, side, 1), dtype=np.uint8)
    found = integrated_gradients(built(name), images, [9], steps=[1])
    assert found.maps.shape == (1, side, side)
    assert np.isfinite(found.maps).all()
    assert found.maps.any()


@every_network
def test_the_filters_of_every_network_have_patterns_or_it_has_none(name: str) -> None:
    side, convolutions = SMALL.get(name, 28), [layer.name for layer in map_layers(built(name)) if layer.is_convolution]
    assert bool(convolutions) == (name != "dense")
    for layer in convolutions[-1:]:
        found = filter_patterns(built(name), layer, [0, 1], seed=1, steps=1)
        assert found.shape == (2, side, side, 1)
        assert np.isfinite(found).all()


@every_network
def test_the_classes_of_every_network_have_patterns(name: str) -> None:
    side, found = SMALL.get(name, 28), class_patterns(built(name), [0, 9], seed=1, steps=1)
    assert found.shape == (2, side, side, 1)
    assert np.isfinite(found).all()


@every_network
def test_every_network_has_occlusion_maps(name: str) -> None:
    side = SMALL.get(name, 28)
    images = np.random.default_rng(0).integers(0, 256, (1, side, side, 1), dtype=np.uint8)
    found = occlusion_maps(built(name), images, [9], patch=0.5, stride=0.5)
    assert found.shape == (1, side, side)
    assert np.isfinite(found).all()


@every_network
def test_every_network_has_an_embedding(name: str) -> None:
    side = SMALL.get(name, 28)
    images = np.random.default_rng(0).integers(0, 256, (6, side, side, 1), dtype=np.uint8)
    places = embed(last_features(built(name), images), seed=1)
    assert places is not None
    assert places.shape == (6, 2)
    assert np.isfinite(places).all()
