"""RandAugment: operations for each image of its own, no stronger than asked, for gray images and for colors."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from src.datasets import Split
from src.fitting.augmentation import augmented
from src.fitting.batches import training_batches
from src.fitting.rand_augment import RandAugment
from src.schema import StandardAugmentationConfig

EDGES = {"fill_mode": "constant", "fill_value": 0.0, "dtype": "float32"}
SIDE = 16


def gray_levels(channels: int) -> npt.NDArray[np.uint8]:
    """A smooth picture, (side, side, channels), of values from 60 to 180."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    picture = 60 + 60 * rows + 60 * columns
    return np.stack([picture - 20 * channel for channel in range(channels)], axis=-1).astype(np.uint8)


def versions_of(channels: int, strength: float, count: int, **changes: Any) -> npt.NDArray[np.uint8]:
    config = StandardAugmentationConfig(rand_augment=strength, **changes)
    return augmented(np.stack([gray_levels(channels)] * count), config, seed=1, versions=1)[:, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_one_batch_get_different_operations(channels: int) -> None:
    versions = versions_of(channels, 0.5, count=60)
    assert (versions.dtype.name, versions.shape) == ("uint8", (60, SIDE, SIDE, channels))
    assert len({version.tobytes() for version in versions}) > 40
    single = versions_of(channels, 0.5, count=60, rand_augment_ops=1)
    assert any(np.array_equal(version, gray_levels(channels)) for version in single)


def test_a_larger_strength_changes_images_more() -> None:
    def mean_change(strength: float) -> float:
        versions = versions_of(1, strength, count=200)
        return float(np.abs(versions.astype(int) - gray_levels(1)).mean())

    assert mean_change(0.05) < mean_change(0.3) < mean_change(1.0)


def test_the_largest_changes_are_those_of_the_paper() -> None:
    found: dict[tuple[str, str], Any] = {}
    for layer in RandAugment(1.0, 2, EDGES, seed=1).layers:
        values = layer.get_config()
        names = ("factor", "x_factor", "y_factor", "height_factor", "width_factor")
        found |= {(type(layer).__name__, name): values[name] for name in names if values.get(name)}
    degrees = found.pop(("RandomRotation", "factor"))
    assert np.multiply(degrees, 360) == pytest.approx([-30, 30])
    assert found[("RandomContrast", "factor")] == pytest.approx((0.9, 0.9))  # 0.1 to 1.9 times
    assert found[("RandomSharpness", "factor")] == pytest.approx((0.05, 0.95))  # Keras doubles it
    assert found[("RandomPosterization", "factor")] == (4, 8)
    assert found[("RandomBrightness", "factor")] == pytest.approx((-0.5, 0.5))


def test_each_image_is_equalized_by_its_own_histogram() -> None:
    operations = RandAugment(0.5, 2, EDGES, seed=1)
    dark, bright = (np.float32(gray_levels(1)) + offset for offset in (-40, 40))
    together = np.asarray(operations._equalize(tf.stack([dark, bright])))
    assert together[0] == pytest.approx(together[1])
    assert (together.min(), together.max()) == (0, 255)


def test_solarizing_inverts_only_the_brightest_pixels() -> None:
    pixels = tf.reshape(tf.range(256.0), (1, 16, 16, 1))
    inverted = np.asarray(RandAugment(0.25, 2, EDGES, seed=1)._solarize(tf.repeat(pixels, 50, axis=0)))
    changed = (inverted != np.asarray(pixels)).any(axis=(0, 2, 3)).reshape(-1)
    assert not changed[: int(0.75 * 16)].any()
    assert changed[-1]
    assert inverted[:, -1, -1, 0].min() == 0


def test_a_last_batch_of_one_image_is_changed_too() -> None:
    split = Split(np.stack([gray_levels(1)] * 9), np.arange(9, dtype=np.uint8))
    batches, order = training_batches(split, 8, seed=1, augmentation=StandardAugmentationConfig(rand_augment=0.5))
    order.on_epoch_begin(0)
    assert [len(labels) for _, labels in batches] == [8, 1]
