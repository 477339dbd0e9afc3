"""The contents of a data set: pairs with their places, sizes and kinds of files, warnings."""

from dataclasses import replace

import numpy as np

from src.datasets import Dataset, Header, Split
from src.inspection import ImagePair, Place, count_kinds, count_pairs, pairs_of, size_table, warnings_of

CLASSES = ["cat", "dog"]


def split(*labels: int, seed: int) -> Split:
    """Images that have nothing in common."""
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 8, 8, 1), np.uint8)
    return Split(images, np.array(labels, np.uint8))


def given(train: Split, test: Split, validation: Split | None = None, files: bool = False) -> Dataset:
    def named(name: str, images: Split | None) -> list[str] | None:
        return [f"{name}/{number}.png" for number in range(len(images or ()))] if files and images else None

    return Dataset(
        name="pets",
        train=train,
        validation=validation,
        test=test,
        input_shape=(8, 8, 1),
        class_names=CLASSES,
        digest="0" * 64,
        source="folder",
        train_files=named("train", train),
        validation_files=named("validation", validation),
        test_files=named("test", test),
    )


def copied(image: Split, number: int, into: Split, place: int) -> Split:
    images = into.images.copy()
    images[place] = image.images[number]
    return replace(into, images=images)


def test_a_pair_has_the_split_the_number_the_class_and_the_file_of_both_images() -> None:
    train, validation = split(0, 1, 1, seed=0), split(0, 1, seed=1)
    test = copied(validation, 1, split(0, 1, seed=2), 1)
    (pair,) = pairs_of(given(train, test, validation, files=True))
    assert pair == ImagePair(
        Place("validation", 1, "dog", "validation/1.png"), Place("test", 1, "dog", "test/1.png"), 1.0, True
    )
    assert (pair.is_leak, pair.is_conflict) == (True, False)


def test_images_without_files_are_named_by_their_split_and_number() -> None:
    train = split(0, 1, 1, seed=0)
    (pair,) = pairs_of(given(train, copied(train, 0, split(0, 1, seed=1), 1)))
    assert (pair.first.name, pair.second.name) == ("train #0", "test #1")
    assert (pair.is_leak, pair.is_conflict) == (True, True)


def test_pairs_with_two_labels_come_first_and_then_those_in_two_splits() -> None:
    train, test = split(0, 0, 1, 1, 0, 1, seed=0), split(0, 1, seed=1)
    train = copied(train, 0, train, 1)  # within the split
    train = copied(train, 4, train, 5)  # with two labels
    test = copied(train, 2, test, 1)  # in two splits
    pairs = pairs_of(given(train, test))
    assert [(pair.is_conflict, pair.is_leak) for pair in pairs] == [(True, False), (False, True), (False, False)]
    assert count_pairs(pairs) == [("train and test", 1, 0, 0), ("within train", 2, 0, 1)]


def test_sizes_are_those_of_the_smallest_the_median_and_the_largest_file() -> None:
    headers = [Header(10, 20, "RGB", "PNG"), Header(30, 30, "RGB", "JPEG"), Header(50, 25, "L", "JPEG")]
    assert size_table(headers) == [("width", 20, 25, 30), ("height", 10, 30, 50), ("width / height", 0.5, 1, 2)]
    assert count_kinds(headers) == {"format": {"JPEG": 2, "PNG": 1}, "colors": {"RGB": 2, "L": 1}}


def test_a_balanced_data_set_without_copies_has_no_warnings() -> None:
    balanced = given(split(*[0] * 20, *[1] * 30, seed=0), split(0, 1, seed=1))
    assert warnings_of(balanced, [Header(8, 8, "L", "PNG")] * 52, []) == []


def test_classes_with_few_images_are_named() -> None:
    (warning,) = warnings_of(given(split(*[0] * 19, *[1] * 20, seed=0), split(0, 1, seed=1)), [], [])
    assert warning.startswith("1 class has fewer than 20 training images: 'cat' (19); add some, or start from")


def test_unbalanced_classes_are_named_with_the_setting_that_weighs_them() -> None:
    (warning,) = warnings_of(given(split(*[0] * 20, *[1] * 61, seed=0), split(0, 1, seed=1)), [], [])
    assert "class 'dog' has 3.0 times as many training images as 'cat' (61 and 20)" in warning
    assert "training.class_weights=balanced" in warning


def test_a_class_without_training_images_is_unbalanced_too() -> None:
    few, unbalanced = warnings_of(given(split(*[0] * 30, seed=0), split(0, 1, seed=1)), [], [])
    assert "'dog' (0)" in few
    assert "many more training images as 'dog' (30 and 0)" not in unbalanced
    assert "'cat' has 30 training images and 'dog' has none" in unbalanced


def test_files_that_would_be_enlarged_are_counted_if_most_are() -> None:
    enough = given(split(*[0] * 20, *[1] * 20, seed=0), split(0, 1, seed=1))
    small, large = Header(7, 7, "L", "PNG"), Header(7, 8, "L", "PNG")
    assert warnings_of(enough, [small, large], []) == []
    (warning,) = warnings_of(enough, [small, small, large], [])
    assert warning == "2 of 3 files are smaller than 8x8 pixels, and are enlarged; set a smaller dataset.image_size"


def test_leaks_and_conflicts_are_counted_with_what_to_do() -> None:
    cat, dog = Place("train", 0, "cat", None), Place("test", 0, "dog", None)
    enough = given(split(*[0] * 20, *[1] * 20, seed=0), split(0, 1, seed=1))
    conflicts, leaks = warnings_of(enough, [], [ImagePair(cat, dog, 1.0, True), ImagePair(cat, dog, 0.9, False)])
    assert conflicts.startswith("2 pairs of equal or nearly equal images have two labels; correct")
    assert leaks.startswith("2 pairs of equal or nearly equal images are in two splits: scores on them mean little;")
