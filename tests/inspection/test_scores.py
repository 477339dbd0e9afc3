"""Images are computed in batches that fit into memory."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from src.inspection import (
    grad_cam,
    integrated_gradients,
    last_features,
    occlusion_maps,
    probabilities_of,
    scores,
)
from tests.support.networks import SIDE, Recorder

IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 1), dtype=np.uint8)
CLASSES = [2, 0, 1, 1, 0]
METHODS: dict[str, Callable[[keras.Model], Any]] = {
    "grad_cam": lambda model: grad_cam(model, IMAGES, CLASSES),
    "integrated_gradients": lambda model: integrated_gradients(model, IMAGES, CLASSES, steps=[8]).maps,
    "occlusion": lambda model: occlusion_maps(model, IMAGES, CLASSES),
    "embedding": lambda model: last_features(model, IMAGES),
    "probabilities": lambda model: probabilities_of(model, IMAGES),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_computes_as_many_images_at_once_as_fit_into_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(1)
    recorder = Recorder()
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    maps = layers.Conv2D(4, 3, activation="relu")(recorder(layers.Rescaling(1 / 255)(pixels)))
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.Flatten()(maps)))
    expected = METHODS[name](model)
    assert max(recorder.counts) > 2
    recorder.counts.clear()
    monkeypatch.setattr(scores, "MAX_IMAGES", 2)
    np.testing.assert_allclose(METHODS[name](model), expected, atol=1e-5)
    assert max(recorder.counts) == 2
