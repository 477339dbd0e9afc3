"""Synthetic images: the same for the same config, and with something to learn in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.datasets import content_digest
from src.datasets.synthetic import load_synthetic
from src.schema import SyntheticConfig

CONFIG = SyntheticConfig(
    name="synthetic",
    loader="synthetic",
    image_size=[20, 16],
    channels=1,
    class_names=list("abcde"),
    train_size=100,
    test_size=50,
)


@given(
    image_size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.sampled_from([1, 3]),
    train_size=st.integers(5, 20),
    test_size=st.integers(1, 20),
)
@settings(max_examples=50, deadline=None)
def test_images_have_the_size_and_number_that_the_config_says(
    image_size: tuple[int, int], channels: int, train_size: int, test_size: int
) -> None:
    arrays = load_synthetic(
        replace(CONFIG, image_size=list(image_size), channels=channels, train_size=train_size, test_size=test_size)
    )
    assert arrays.train_images.shape == (train_size, *image_size, channels)
    assert arrays.test_images.shape == (test_size, *image_size, channels)
    assert (len(arrays.train_labels), len(arrays.test_labels)) == (train_size, test_size)


def test_images_and_labels_are_bytes() -> None:
    arrays = load_synthetic(CONFIG)
    assert {values.dtype for values in (arrays.train_images, arrays.train_labels)} == {np.dtype(np.uint8)}
    assert {values.dtype for values in (arrays.test_images, arrays.test_labels)} == {np.dtype(np.uint8)}


def test_every_class_has_its_share() -> None:
    arrays = load_synthetic(CONFIG)
    assert np.bincount(arrays.train_labels).tolist() == [20] * 5
    assert np.bincount(arrays.test_labels).tolist() == [10] * 5


@pytest.mark.parametrize("seed", [0, 7])
def test_the_same_seed_draws_the_same_images(seed: int) -> None:
    config = replace(CONFIG, seed=seed)
    assert content_digest(load_synthetic(config)) == content_digest(load_synthetic(config))


def test_another_seed_draws_other_images() -> None:
    digests = {content_digest(load_synthetic(replace(CONFIG, seed=seed))) for seed in range(5)}
    assert len(digests) == 5


def test_no_test_image_is_a_training_image() -> None:
    arrays = load_synthetic(CONFIG)
    train, test = ({image.tobytes() for image in images} for images in (arrays.train_images, arrays.test_images))
    assert train.isdisjoint(test)


@pytest.mark.parametrize("seed", range(3))
def test_the_nearest_class_mean_names_four_of_five_test_images(seed: int) -> None:
    arrays = load_synthetic(replace(CONFIG, image_size=[28, 28], train_size=200, seed=seed))
    means = np.stack([arrays.train_images[arrays.train_labels == label].mean(0) for label in range(5)])
    distances = ((arrays.test_images[:, np.newaxis] - means) ** 2).sum((2, 3, 4))
    assert (distances.argmin(1) == arrays.test_labels).mean() > 0.8  # chance is 0.2


def test_an_eighth_is_for_validation() -> None:
    assert load_synthetic(replace(CONFIG, train_size=80)).validation_size == 10


def test_the_source_says_that_they_are_synthetic() -> None:
    assert load_synthetic(CONFIG).source == "synthetic"
