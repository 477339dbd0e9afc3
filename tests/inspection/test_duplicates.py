"""Pairs of images that are equal or nearly equal."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.datasets.arrays import Images
from src.inspection import Pair, find_pairs
from src.inspection.duplicates import compare, hashes, reduce
from tests.support.copies import KINDS, near_copy


@pytest.fixture(scope="module")
def digits() -> Images:
    """A thousand handwritten digits: (1000, 28, 28, 1)."""
    return load_dataset(compose_config(["dataset.source=sample"]).dataset).test.images


def noise(count: int, side: int = 16, channels: int = 1, seed: int = 0) -> Images:
    """Images that have nothing in common, of up to eight squares in each direction."""
    random = np.random.default_rng(seed)
    size = max(1, side // 8)  # of a square
    squares = random.integers(0, 256, (count, side // size, side // size, channels), np.uint8)
    return squares.repeat(size, axis=1).repeat(size, axis=2)


def test_equal_images_are_pairs_with_the_first_of_them_in_all_parts() -> None:
    images = noise(3)
    pairs = find_pairs([images[[0, 1, 0]], images[[2, 0]]])
    assert pairs == [Pair(0, 2, 1.0, True), Pair(0, 4, 1.0, True)]


def test_of_equal_images_only_the_first_is_compared_with_a_near_copy() -> None:
    image = noise(1)
    pairs = find_pairs([np.concatenate([image, image, np.clip(image, 20, 255)]), noise(4, seed=1)])
    assert [(pair.first, pair.second, pair.is_equal) for pair in pairs] == [(0, 1, True), (0, 2, False)]
    assert 0.95 < pairs[1].similarity < 1


@pytest.mark.parametrize("kind", KINDS)
def test_near_copies_of_digits_are_found_and_digits_that_look_alike_are_not(digits: Images, kind: str) -> None:
    copies = np.stack([near_copy(image[..., 0], kind, seed)[..., None] for seed, image in enumerate(digits[:20])])
    pairs = find_pairs([digits, copies])
    assert [(pair.first, pair.second) for pair in sorted(pairs)] == [(number, 1000 + number) for number in range(20)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [32, 48, 96])
def test_near_copies_of_images_in_color_and_of_any_size_are_found(side: int, kind: str) -> None:
    images = noise(40, side, channels=3)
    copies = np.stack([near_copy(image, kind, seed) for seed, image in enumerate(images[:6])])
    pairs = find_pairs([images, copies])
    assert [(pair.first, pair.second) for pair in sorted(pairs)] == [(number, 40 + number) for number in range(6)]


@pytest.mark.parametrize("side", [64, 96])
def test_most_near_copies_of_crops_of_photographs_are_found(side: int) -> None:
    photographs = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    crops = np.stack(  # those of the sky are hard: they have hardly any contrast, and turn white
        [
            photograph[top : top + side, left : left + side]
            for photograph in photographs
            for top in range(0, photograph.shape[0] - side + 1, side)
            for left in range(0, photograph.shape[1] - side + 1, side)
        ]
    )
    sources = range(1, len(crops), 3)
    copies = np.stack([near_copy(crops[source], KINDS[source % len(KINDS)], source) for source in sources])
    found = {(pair.first, pair.second) for pair in find_pairs([crops, copies])}
    planted = {(source, len(crops) + place) for place, source in enumerate(sources)}
    assert len(found & planted) >= 0.85 * len(planted)
    assert len(found - planted) <= 1


def test_many_copies_of_one_image_are_found_although_none_of_them_is_unlike_the_others(digits: Images) -> None:
    copies = np.stack([np.clip(digits[0].astype(int) - 3 * number, 0, 255) for number in range(1, 13)])
    pairs = find_pairs([digits, copies.astype(np.uint8)])
    assert {number for pair in pairs for number in pair[:2]} == {0, *range(1000, 1012)}


def test_images_of_one_color_and_with_hardly_any_contrast_are_not_near_copies() -> None:
    faint = 100 + noise(8) // 128
    assert find_pairs([np.concatenate([faint, np.full((1, 16, 16, 1), 90, np.uint8)])]) == []


def test_images_of_the_same_shapes_in_very_different_colors_are_not_a_pair() -> None:
    images = noise(4, channels=3) // 4
    assert find_pairs([images, images[:1] + 100]) == []


@pytest.mark.parametrize("images", [noise(1), noise(2), noise(0), noise(5, side=2), noise(3)[:, :, :4]])
def test_few_and_tiny_images_have_no_pairs(images: Images) -> None:
    assert [pair for pair in find_pairs([images]) if not pair.is_equal] == []


def test_images_are_reduced_to_the_means_of_areas_with_their_neighbors() -> None:
    image = np.zeros((1, 64, 96, 1), np.uint8)
    image[0, 20:22, 30:33] = 160  # one pixel of the reduced image
    reduced = reduce(image)
    assert reduced.shape == (1, 32, 32, 1)
    assert reduced[0, 9:12, 9:12, 0].tolist() == [[10, 20, 10], [20, 40, 20], [10, 20, 10]]
    assert reduced.sum() == 160
    small = noise(2, side=32)
    assert reduce(small) is small


def test_a_hash_does_not_depend_on_brightness_and_contrast_but_on_the_shapes() -> None:
    images = noise(8) // 2
    distances = np.bitwise_count(hashes(images)[:, None] ^ hashes((images * 0.5 + 40).astype(np.uint8)))
    assert distances.diagonal().max() <= 6
    assert distances[~np.eye(8, dtype=bool)].min() >= 16


def test_the_similarity_is_the_correlation_of_the_pixels_after_the_best_shift_by_a_pixel() -> None:
    image = noise(1).astype(np.float64)[0, ..., 0]
    moved, inverted = np.roll(image, 1, axis=0), 255 - image
    stacked = np.stack([image, moved, inverted])[..., None].astype(np.uint8)
    similar, opposite = compare(stacked, np.array([(0, 1), (0, 2)]))
    assert similar == pytest.approx(1, abs=0.02)
    assert opposite < 0.5


def test_different_images_of_one_color_each_are_not_pairs() -> None:
    colors = np.array([[200, 120, 40], [190, 110, 45], [60, 90, 160], [70, 95, 150]], np.uint8)
    assert find_pairs([np.broadcast_to(colors[:, None, None], (4, 32, 32, 3))]) == []
