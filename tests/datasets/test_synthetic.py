"""Made-up images: the same for the same config, and with something in them to learn."""

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
    drawn = load_synthetic(
        replace(CONFIG, image_size=list(image_size), channels=channels, train_size=train_size, test_size=test_size)
    )
    assert drawn.train_images.shape == (train_size, *image_size, channels)
    assert drawn.test_images.shape == (test_size, *image_size, channels)
    assert (len(drawn.train_labels), len(drawn.test_labels)) == (train_size, test_size)


def test_images_and_labels_are_bytes() -> None:
    drawn = load_synthetic(CONFIG)
    assert {values.dtype for values in (drawn.train_images, drawn.train_labels)} == {np.dtype(np.uint8)}
    assert {values.dtype for values in (drawn.test_images, drawn.test_labels)} == {np.dtype(np.uint8)}


def test_every_class_has_its_share() -> None:
    drawn = load_synthetic(CONFIG)
    assert np.bincount(drawn.train_labels).tolist() == [20] * 5
    assert np.bincount(drawn.test_labels).tolist() == [10] * 5


@pytest.mark.parametrize("seed", [0, 7])
def test_the_same_seed_draws_the_same_images(seed: int) -> None:
    config = replace(CONFIG, seed=seed)
    assert content_digest(load_synthetic(config)) == content_digest(load_synthetic(config))


def test_another_seed_draws_other_images() -> None:
    digests = {content_digest(load_synthetic(replace(CONFIG, seed=seed))) for seed in range(5)}
    assert len(digests) == 5


def test_no_test_image_is_a_training_image() -> None:
    drawn = load_synthetic(CONFIG)
    train, test = ({image.tobytes() for image in images} for images in (drawn.train_images, drawn.test_images))
    assert train.isdisjoint(test)


@pytest.mark.parametrize("seed", range(3))
def test_the_nearest_class_mean_names_four_of_five_test_images(seed: int) -> None:
    drawn = load_synthetic(replace(CONFIG, image_size=[28, 28], train_size=200, seed=seed))
    means = np.stack([drawn.train_images[drawn.train_labels == label].mean(0) for label in range(5)])
    distances = ((drawn.test_images[:, np.newaxis] - means) ** 2).sum((2, 3, 4))
    assert (distances.argmin(1) == drawn.test_labels).mean() > 0.8  # chance is 0.2


def test_an_eighth_is_for_validation() -> None:
    assert load_synthetic(replace(CONFIG, train_size=80)).validation_size == 10


def test_they_say_that_they_are_made_up() -> None:
    assert load_synthetic(CONFIG).source == "synthetic"
