"""Augmented images: bytes of the same shape, changed in the way that was asked for, and never outside training."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from src import fitting
from src.cli.compose import compose_config
from src.datasets import Split
from src.fitting import augmented
from src.fitting.augmentation import build_augmentation
from src.fitting.batches import scoring_batches, training_batches
from src.fitting.order import EpochOrder
from src.schema import AugmentationConfig, StandardAugmentationConfig
from tests.support.training import ready

SIDE = 16
DARK, BRIGHT = 60, 160
EVERYTHING = StandardAugmentationConfig(shift=0.1, rotation=20, zoom=0.2, flip="horizontal", contrast=0.3)
Images = npt.NDArray[np.uint8]


def bar(channels: int = 1) -> Images:
    """Bright on dark, at the left: one image."""
    image = np.full((SIDE, SIDE, channels), DARK, np.uint8)
    image[4:12, 2:6] = BRIGHT
    return image


def versions_of(image: Images, count: int = 40, seed: int = 1, **changes: Any) -> Images:
    (versions,) = augmented(image[np.newaxis], StandardAugmentationConfig(**changes), seed, count)
    return versions


def middle(image: Images) -> tuple[float, float]:
    """Where the bright pixels are on average: row, column."""
    rows, columns, _ = np.nonzero(image > (DARK + BRIGHT) / 2)
    return float(rows.mean()), float(columns.mean())


@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_stay_bytes_of_the_same_shape(channels: int) -> None:
    images = np.stack([bar(channels)] * 5)
    changed = augmented(images, EVERYTHING, seed=1, versions=2)
    assert (changed.shape, changed.dtype.name) == ((5, 2, SIDE, SIDE, channels), "uint8")


def test_each_image_is_changed_differently_at_each_call() -> None:
    changed = augmented(np.stack([bar()] * 4), EVERYTHING, seed=1, versions=4)
    assert len({version.tobytes() for versions in changed for version in versions}) == 16


def test_the_same_seed_gives_the_same_images_and_another_one_others() -> None:
    one, again, another = (versions_of(bar(), seed=seed, **vars(EVERYTHING)) for seed in (2**32 - 1, 2**32 - 1, 0))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, another)


def test_a_shift_moves_both_ways_and_not_farther_than_asked() -> None:
    row, column = middle(bar())
    moved = np.array([middle(version) for version in versions_of(bar(), shift=0.125)]) - (row, column)
    assert np.abs(moved).max() <= 0.125 * SIDE + 0.5
    assert (moved.min(axis=0) < -0.5).all()
    assert (moved.max(axis=0) > 0.5).all()


def test_a_flip_mirrors_every_other_image_from_left_to_right() -> None:
    image = bar()
    image[0, 0] = 255  # which way up
    found = {version.tobytes() for version in versions_of(image, flip="horizontal")}
    assert found == {image.tobytes(), image[:, ::-1].tobytes()}


def test_a_rotation_turns_about_the_middle_in_degrees() -> None:
    row, column = middle(bar())
    center = (SIDE - 1) / 2
    before = np.degrees(np.arctan2(row - center, column - center))
    turned = []
    for version in versions_of(bar(), rotation=20):
        row, column = middle(version)
        turned.append((np.degrees(np.arctan2(row - center, column - center)) - before + 180) % 360 - 180)
    assert 10 < max(turned) < 25
    assert -25 < min(turned) < -10


def test_a_zoom_goes_in_and_out_and_keeps_the_proportions() -> None:
    square = np.zeros((SIDE, SIDE, 1), np.uint8)
    square[4:12, 4:12] = 200
    extents = [
        [int((version > 100).any(axis=axis).sum()) for axis in (0, 1)] for version in versions_of(square, zoom=0.4)
    ]
    assert min(width for width, _ in extents) < 8 < max(width for width, _ in extents)
    assert all(abs(width - height) <= 1 for width, height in extents)


def test_contrast_spreads_or_narrows_the_values_and_moves_nothing() -> None:
    image = bar()
    image[:, 8:] = BRIGHT  # half and half, so that the mean stays
    ranges = [int(version.max()) - int(version.min()) for version in versions_of(image, contrast=0.3)]
    assert min(ranges) < BRIGHT - DARK < max(ranges)
    assert {middle(version) for version in versions_of(image, contrast=0.3)} == {middle(image)}


@pytest.mark.parametrize(("fill", "darkest"), [("constant", 0), ("nearest", DARK), ("reflect", DARK)])
def test_what_moves_in_at_the_edges_is_black_or_made_of_the_image(fill: str, darkest: int) -> None:
    assert versions_of(bar(), shift=0.3, fill=fill).min() == darkest


def test_the_given_share_of_the_images_loses_a_rectangle_to_noise() -> None:
    image = np.full((SIDE, SIDE, 1), 127, np.uint8)
    erased = versions_of(image, count=400, erasing=0.5) != image
    shares = erased.mean(axis=(1, 2, 3))
    assert np.count_nonzero(shares) / 400 == pytest.approx(0.5, abs=0.08)
    assert 0.15 < shares[shares > 0].mean() < 0.2
    assert shares.max() < 0.4  # 33 %, and pixels at its edges
    noisy = versions_of(image, count=1, erasing=1.0)
    assert len(np.unique(noisy[noisy != 127])) > 5


def labeled(count: int) -> Split:
    return Split(np.stack([bar()] * count), np.arange(count, dtype=np.uint8))


def in_epoch(number: int, batches: tf.data.Dataset, order: EpochOrder) -> tuple[list[int], list[bytes]]:
    order.on_epoch_begin(number)
    return epoch_of(batches)


def epoch_of(batches: tf.data.Dataset) -> tuple[list[int], list[bytes]]:
    """The labels and the images of one epoch."""
    pairs = list(batches.unbatch().as_numpy_iterator())
    return [int(label) for _, label in pairs], [image.tobytes() for image, _ in pairs]


def test_training_batches_are_changed_anew_in_each_epoch_and_depend_on_its_number_alone() -> None:
    one, again = (training_batches(labeled(20), 8, seed=1, augmentation=EVERYTHING) for _ in range(2))
    (labels, first), (later_labels, second) = in_epoch(0, *one), in_epoch(1, *one)
    assert sorted(labels) == list(range(20))
    assert len({*first, *second, bar().tobytes()}) == 41
    assert in_epoch(1, *again) == (later_labels, second)
    assert in_epoch(0, *again) == (labels, first)


def test_another_kind_changes_training_batches_too(more_kinds: list[str]) -> None:
    kind = compose_config([*more_kinds, "augmentation=negative"]).augmentation
    labels, images = epoch_of(training_batches(labeled(20), 8, seed=1, augmentation=kind)[0])
    assert sorted(labels) == list(range(20))
    assert set(images) == {(255 - bar()).tobytes()}


def test_scored_images_are_never_augmented() -> None:
    assert set(epoch_of(scoring_batches(labeled(20), 8))[1]) == {bar().tobytes()}


@pytest.mark.parametrize("augmentation", [None, StandardAugmentationConfig()])
def test_without_an_augmentation_images_stay_as_they_are(augmentation: AugmentationConfig | None) -> None:
    assert set(epoch_of(training_batches(labeled(20), 8, 1, augmentation)[0])[1]) == {bar().tobytes()}


def test_an_augmentation_without_changes_is_the_image_itself() -> None:
    images = bar()[np.newaxis]
    np.testing.assert_array_equal(build_augmentation(StandardAugmentationConfig(), seed=1)(images), images)


def test_a_fit_trains_on_changed_images_and_validates_on_the_images_as_they_are() -> None:
    standing_still = ["optimizer=sgd", "optimizer.learning_rate=1e-20"]
    plain, changed = (
        fitting.fit(*ready(*standing_still, f"augmentation={name}")).history for name in ("none", "photos")
    )
    assert changed["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-6)
    assert changed["loss"][0] != pytest.approx(plain["loss"][0], rel=1e-6)
    assert plain["loss"][1] == pytest.approx(plain["loss"][0], rel=1e-5)
    assert changed["loss"][1] != pytest.approx(changed["loss"][0], rel=1e-5)
