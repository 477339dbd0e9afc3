"""Folds: every training image is in one of them, with as many of each class, and one is the validation split."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from src.datasets import Dataset, cache, load_dataset
from src.datasets.arrays import Duplicate
from src.datasets.folds import assign_folds, assign_group_folds
from src.datasets.synthetic import load_synthetic
from src.errors import DataError
from src.schema import ManifestConfig, SyntheticConfig
from tests.support.pictures import Photos, put_class, put_image

CONFIG = SyntheticConfig(
    name="synthetic",
    image_size=[3, 2],
    channels=1,
    class_names=["cat", "dog", "owl"],
    train_size=40,
    test_size=9,
)
LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(lambda labels: np.array(labels, np.uint8))


def load(fold: int, folds: int = 5, **changes: Any) -> Dataset:
    return load_dataset(replace(CONFIG, folds=folds, fold=fold, **changes))


# --- which image is in which fold --------------------------------------------------------------------------------


def counts_by_fold(labels: np.ndarray, folds: np.ndarray, count: int) -> np.ndarray:
    """The number of images of each class, in each of the folds, (folds, classes)."""
    return np.array([np.bincount(labels[folds == fold], minlength=5) for fold in range(1, count + 1)])


@given(labels=LABELS, count=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_folds_differ_by_at_most_one_image_in_each_class_and_in_total(
    labels: np.ndarray, count: int, seed: int
) -> None:
    found = counts_by_fold(labels, assign_folds(labels, count, seed), count)
    assert np.ptp(found, axis=0).max() <= 1
    assert np.ptp(found.sum(axis=1)) <= 1
    assert found.sum() == len(labels)


@given(labels=LABELS, count=st.integers(2, 6), seed=st.integers(0, 100))
@settings(deadline=None)
def test_a_class_is_divided_into_the_same_sizes_as_by_scikit_learn(labels: np.ndarray, count: int, seed: int) -> None:
    labels = np.concatenate([labels, np.arange(5, dtype=np.uint8).repeat(count)])  # it refuses rarer classes
    theirs = np.empty(len(labels), int)
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for fold, (_, inside) in enumerate(splitter.split(labels, labels), start=1):
        theirs[inside] = fold
    ours = assign_folds(labels, count, seed)
    for sizes in zip(*(counts_by_fold(labels, folds, count).T for folds in (ours, theirs)), strict=True):
        assert sorted(sizes[0]) == sorted(sizes[1])


def test_the_folds_of_a_seed_never_change() -> None:
    """Stored runs name a seed, and have to find the same images again."""
    labels = (np.arange(12) % 3).astype(np.uint8)
    assert assign_folds(labels, 3, 0).tolist() == [1, 1, 1, 3, 2, 3, 1, 2, 2, 2, 3, 3]


def test_another_seed_divides_the_images_differently() -> None:
    labels = (np.arange(60) % 3).astype(np.uint8)
    assert (assign_folds(labels, 3, 0) != assign_folds(labels, 3, 1)).any()


# --- the splits --------------------------------------------------------------------------------------------------


def test_each_training_image_is_in_the_validation_split_of_one_fold() -> None:
    found = np.concatenate([load(fold).validation_indices for fold in range(1, 6)])
    assert sorted(found) == list(range(40))


@pytest.mark.parametrize("fold", [1, 5])
def test_a_fold_is_the_validation_split_and_the_others_are_trained_on_in_their_order(fold: int) -> None:
    source, dataset = load_synthetic(CONFIG), load(fold)
    inside = dataset.validation_indices
    outside = np.setdiff1d(np.arange(40), inside)
    assert dataset.validation is not None
    for split, indices in ((dataset.validation, inside), (dataset.train, outside)):
        np.testing.assert_array_equal(split.images, source.train_images[indices])
        np.testing.assert_array_equal(split.labels, source.train_labels[indices])


def test_the_test_split_and_the_digest_are_those_without_folds() -> None:
    whole, dataset = load_dataset(CONFIG), load(2)
    np.testing.assert_array_equal(dataset.test.images, whole.test.images)
    assert dataset.digest == whole.digest


def test_the_limit_is_applied_before_the_images_are_divided() -> None:
    found = [load(fold, limit=20) for fold in range(1, 6)]
    assert {(len(dataset.train), len(dataset.validation or ())) for dataset in found} == {(16, 4)}
    assert sorted(np.concatenate([dataset.validation_indices for dataset in found])) == list(range(20))


def test_the_head_of_a_fold_knows_the_places_of_its_images() -> None:
    dataset = load(1)
    assert dataset.head(3).validation_indices.tolist() == dataset.validation_indices[:3].tolist()


def test_without_folds_the_first_images_are_the_validation_split() -> None:
    assert load_dataset(CONFIG).validation_indices.tolist() == [0, 1, 2, 3, 4]
    assert load_dataset(replace(CONFIG, validation_size=0)).validation_indices.tolist() == []


# --- folders of images -------------------------------------------------------------------------------------------


def load_photos(photos: Photos, folds: int = 4) -> list[Dataset]:
    return [load_dataset(photos.config(folds=folds, fold=fold)) for fold in range(1, folds + 1)]


def test_the_files_of_all_folds_are_those_that_are_not_for_testing(pets: Photos) -> None:
    found = load_photos(pets)
    files = [file for dataset in found for file in dataset.validation_files or ()]
    assert len(files) == len(set(files)) == 51
    assert not set(files) & set(found[0].test_files or ())
    for dataset in found:
        assert dataset.validation is not None
        names = [dataset.class_names[label] for label in dataset.validation.labels]
        assert [file.partition("/")[0] for file in dataset.validation_files or ()] == names


def test_a_folder_for_validation_is_divided_too(photos: Photos) -> None:
    for split, size in (("train", 6), ("validation", 2), ("test", 1)):
        for name in ("cat", "dog"):
            put_class(photos.folder / split, name, size)
    assert {len(dataset.validation or ()) for dataset in load_photos(photos)} == {4}


def test_images_that_stay_on_disk_are_divided_in_the_same_way(pets: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = (0, 5)  # two orders of the same labels
    in_memory = [load_dataset(pets.config(folds=3, fold=2, split_seed=seed)) for seed in seeds]
    monkeypatch.setattr(cache, "MAX_MEMORY_SHARE", 0)
    mapped = [load_dataset(pets.config(folds=3, fold=2, split_seed=seed)) for seed in seeds]
    for one, other in zip(in_memory, mapped, strict=True):
        assert isinstance(other.train.images, np.memmap)
        np.testing.assert_array_equal(one.train.images, other.train.images)
        assert one.validation_files == other.validation_files
        assert one.digest == other.digest


def test_an_image_in_two_folds_is_a_duplicate_as_in_any_two_splits(photos: Photos) -> None:
    put_class(photos.folder / "train", "cat", 3)
    put_class(photos.folder / "train", "dog", 4)
    put_class(photos.folder / "test", "cat", 1)
    put_class(photos.folder / "test", "dog", 1)
    put_image(photos.folder / "train/cat/a.png", shade=9)
    put_image(photos.folder / "train/cat/b.png", shade=9)
    found = load_photos(photos)
    pair = {"train/cat/a.png", "train/cat/b.png"}
    for dataset in found:
        is_divided = len(pair & set(dataset.validation_files or ())) == 1
        assert [{each.file, each.other_file} for each in dataset.duplicates] == [pair] * is_divided
        assert all(isinstance(each, Duplicate) for each in dataset.duplicates)
        assert ("1 images are in two splits" in " ".join(dataset.warnings)) == is_divided
    assert any(dataset.duplicates for dataset in found)


# --- groups ------------------------------------------------------------------------------------------------------


def write_groups(photos: Photos, groups: int) -> ManifestConfig:
    """A manifest of the pets with their owners, who have cats and dogs."""
    numbered = ((path, path.split("/")[0], int(path[4:7]) % groups) for path in photos.paths())
    return photos.write("labels.csv", *(f"{path},{name},{owner}" for path, name, owner in numbered), columns=COLUMNS)


COLUMNS = "path,label,group"


def test_a_group_is_in_one_fold_and_each_training_image_in_the_validation_split_of_one(pets: Photos) -> None:
    manifest = write_groups(pets, groups=10)
    found = [load_dataset(replace(manifest, folds=3, fold=fold)) for fold in (1, 2, 3)]
    owners = [{int(file[4:7]) % 10 for file in dataset.validation_files or ()} for dataset in found]
    assert sum(map(len, owners)) == len(set.union(*owners))
    files = [file for dataset in found for file in dataset.validation_files or ()]
    assert len(files) == len(set(files))
    assert not set(files) & set(found[0].test_files or ())
    assert len({dataset.digest for dataset in found}) == 1
    for dataset in found:
        assert all(min(counts) > 0 for _, *counts in dataset.class_counts())


def test_the_folds_of_groups_never_change() -> None:
    labels = np.arange(12) % 2
    groups = [f"g{index // 2}" for index in range(12)]
    assert assign_group_folds(labels, groups, 3, 0).tolist() == [2, 2, 3, 3, 2, 2, 1, 1, 3, 3, 1, 1]


def test_a_class_with_fewer_groups_than_folds_is_named(pets: Photos) -> None:
    manifest = write_groups(pets, groups=3)
    with pytest.raises(DataError, match=r"^dataset\.folds=4: .* class 'cat' belong to 2 groups, .*at most 2 folds"):
        load_dataset(replace(manifest, folds=4, fold=1))


# --- folds that cannot be made -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"folds": 14},
            r"^dataset\.folds=14: class 'dog' has 13 of the 40 training images.*; use at most 13 folds, or",
        ),
        ({"folds": 5, "limit": 8}, r"class 'owl' has 2 of the 8 training images.*; use at most 2 folds, or add images"),
        (
            {"folds": 2, "limit": 4},
            r"class 'dog' has 1 of the 4 training images.* would have none of it; add images of",
        ),
        (
            {"folds": 2, "limit": 2},
            r"class 'owl' has 0 of the 2 training images.* would have none of it; add images of",
        ),
    ],
)
def test_a_class_that_would_be_missing_in_a_fold_is_named_with_its_images(
    changes: dict[str, int], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        load(1, **changes)


def test_a_class_of_a_folder_with_an_image_for_training_and_one_for_testing_is_refused(photos: Photos) -> None:
    put_class(photos.folder, "cat", 9)
    put_class(photos.folder, "dog", 2)
    with pytest.raises(DataError, match=r"^dataset\.folds=4: class 'dog' has 1 of the 9 training images"):
        load_photos(photos)


def test_images_without_classes_are_refused(photos: Photos) -> None:
    put_class(photos.folder, ".", 4)
    with pytest.raises(DataError, match="at least two classes are needed, each in its own folder"):
        load_photos(photos)
