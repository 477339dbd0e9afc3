"""Occlusion maps of networks whose answer can be written down."""

import keras
import numpy as np
import pytest
from keras import layers

from src.inspection import occlusion_maps, rank_correlations
from src.inspection.occlusion import _places
from tests.support.networks import Recorder

SIDE = 10


def corner_network() -> keras.Model:
    """Class 0 if the pixels of the upper left corner (2x2) are bright, else class 1."""
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    corner = layers.Cropping2D(((0, SIDE - 2), (0, SIDE - 2)))(layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, layers.Dense(2, activation="softmax", name="out")(layers.Flatten()(corner)))
    model.get_layer("out").set_weights([np.repeat([[1.0, -1.0]], 4, axis=0), np.array([-2.0, 2.0])])
    return model


def image() -> np.ndarray:
    bright = np.zeros((1, SIDE, SIDE, 1), np.uint8)
    bright[:, :2, :2] = 255
    return bright


def test_covering_what_a_class_depends_on_lowers_its_probability_and_covering_the_rest_changes_nothing() -> None:
    (drops,) = occlusion_maps(corner_network(), image(), [0])
    assert drops[0, 0] > 0.5
    assert drops[4:, 4:].tolist() == np.zeros((6, 6)).tolist()


def test_covering_evidence_against_a_class_raises_its_probability() -> None:
    (of_its_class,), (of_the_other,) = (occlusion_maps(corner_network(), image(), [label]) for label in (0, 1))
    np.testing.assert_allclose(of_the_other, -of_its_class, atol=1e-6)


def test_a_pixel_has_the_mean_drop_of_the_patches_that_cover_it() -> None:
    model, bright = corner_network(), image()
    (drops,) = occlusion_maps(model, bright, [0], patch=0.2, stride=0.1)  # 2x2 pixels, by one pixel
    color = round(float(bright.mean()))
    covered = np.repeat(bright, 3, axis=0)
    covered[0, :2, :2] = covered[1, :2, 1:3] = covered[2, :2, 2:4] = color
    whole, *others = model(np.concatenate([bright, covered])).numpy()[:, 0]
    assert drops[0, 0] == pytest.approx(whole - others[0], abs=1e-6)
    assert drops[0, 1] == pytest.approx(whole - (others[0] + others[1]) / 2, abs=1e-6)


def test_an_image_that_is_explained_for_several_classes_is_predicted_once() -> None:
    recorder = Recorder()
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    features = layers.Flatten()(recorder(layers.Rescaling(1 / 255)(pixels)))
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(features))
    other = 255 - image()
    alone = [occlusion_maps(model, one, [label])[0] for one, label in ((image(), 0), (other, 1), (image(), 2))]
    counted = sum(recorder.counts)
    recorder.counts.clear()
    together = occlusion_maps(model, np.concatenate([image(), other, image()]), [0, 1, 2])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert sum(recorder.counts) == counted * 2 // 3


@pytest.mark.parametrize(("height", "width"), [(28, 28), (7, 5), (1, 1), (96, 33)])
def test_the_patches_cover_every_pixel_of_images_of_any_size(height: int, width: int) -> None:
    times = np.zeros((height, width), int)
    for place in _places(height, width, 0.2, 0.1):
        times[place] += 1
    assert times.min() >= 1


def test_rank_correlations_depend_on_the_order_of_the_pixels_only() -> None:
    heat = np.arange(9.0).reshape(3, 3)
    others = np.stack([np.exp(heat), -heat, np.ones((3, 3))])
    assert rank_correlations(np.stack([heat] * 3), others) == [pytest.approx(1), pytest.approx(-1), None]
