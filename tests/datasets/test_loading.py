"""`load_dataset`: the splits, and the checks before any of them is used."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.cli.compose import compose_config
from src.datasets import Dataset, Split, content_digest, load_dataset
from src.datasets.arrays import Arrays
from src.datasets.synthetic import load_synthetic
from src.errors import ConfigError, DataError
from src.schema import SyntheticConfig

SYNTHETIC = SyntheticConfig(
    name="synthetic",
    loader="synthetic",
    image_size=[3, 2],
    channels=1,
    class_names=["cat", "dog", "owl"],
    train_size=40,
    test_size=20,
)
GIVEN = SyntheticConfig(
    name="given", image_size=[3, 2], channels=1, class_names=["cat", "dog", "owl"], validation_size=4
)


def draw(channels: int = 1, classes: int = 3) -> Arrays:
    random = np.random.default_rng(0)
    return Arrays(
        train_images=random.integers(0, 256, (16, 3, 2, channels), np.uint8),
        train_labels=(np.arange(16) % classes).astype(np.uint8),
        test_images=random.integers(0, 256, (8, 3, 2, channels), np.uint8),
        test_labels=(np.arange(8) % classes).astype(np.uint8),
        validation_size=6,
        source="full",
        warnings=["a file was damaged"],
    )


Load = Callable[..., Dataset]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads arrays of the test's own as a data set, with changes to its config."""

    def load_given(arrays: Arrays, **changes: Any) -> Dataset:
        monkeypatch.setattr(SyntheticConfig, "builder", staticmethod(lambda: lambda config: arrays))
        return load_dataset(replace(GIVEN, **changes))

    return load_given


def assert_holds(split: Split | None, images: np.ndarray, labels: np.ndarray) -> None:
    assert split is not None
    np.testing.assert_array_equal(split.images, images, strict=True)
    np.testing.assert_array_equal(split.labels, labels, strict=True)


# --- splits ------------------------------------------------------------------------------------------------------


@given(validation_size=st.integers(1, 39), limit=st.none() | st.integers(1, 60))
@settings(deadline=None)
def test_the_first_images_are_for_validation_and_the_limit_applies_to_the_rest(
    validation_size: int, limit: int | None
) -> None:
    source = load_synthetic(SYNTHETIC)
    end = None if limit is None else validation_size + limit
    dataset = load_dataset(replace(SYNTHETIC, validation_size=validation_size, limit=limit))
    assert_holds(dataset.validation, source.train_images[:validation_size], source.train_labels[:validation_size])
    assert_holds(dataset.train, source.train_images[validation_size:end], source.train_labels[validation_size:end])
    assert_holds(dataset.test, source.test_images, source.test_labels)


def test_a_validation_size_of_null_is_the_default_of_the_data_set(load: Load) -> None:
    arrays = draw()
    dataset = load(arrays, validation_size=None)
    assert_holds(dataset.validation, arrays.train_images[:6], arrays.train_labels[:6])


def test_a_validation_size_of_0_keeps_every_image_for_training(load: Load) -> None:
    arrays = draw()
    dataset = load(arrays, validation_size=0)
    assert dataset.validation is None
    assert_holds(dataset.train, arrays.train_images, arrays.train_labels)


@pytest.mark.parametrize("size", [16, 17])
def test_a_validation_split_that_leaves_nothing_to_train_on_is_refused(load: Load, size: int) -> None:
    with pytest.raises(ConfigError) as raised:
        load(draw(), validation_size=size)
    assert f"dataset.validation_size={size} leaves none of the 16 training images" in str(raised.value)
    assert "use less than 16" in str(raised.value)


def test_a_validation_split_that_leaves_one_image_is_not_refused(load: Load) -> None:
    assert len(load(draw(), validation_size=15).train) == 1


# --- what it says of itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_shape_is_height_width_channels(load: Load, channels: int) -> None:
    assert load(draw(channels), channels=channels).input_shape == (3, 2, channels)


def test_name_classes_source_and_warnings_are_passed_on(load: Load) -> None:
    dataset = load(draw())
    assert (dataset.name, dataset.class_names) == ("given", ["cat", "dog", "owl"])
    assert (dataset.source, dataset.warnings) == ("full", ["a file was damaged"])


def test_the_head_of_a_data_set_is_the_head_of_each_split(load: Load) -> None:
    arrays, head = draw(), load(draw()).head(2)
    assert_holds(head.train, arrays.train_images[4:6], arrays.train_labels[4:6])
    assert_holds(head.validation, arrays.train_images[:2], arrays.train_labels[:2])
    assert_holds(head.test, arrays.test_images[:2], arrays.test_labels[:2])


def test_a_head_without_a_count_is_everything(load: Load) -> None:
    dataset = load(draw(), validation_size=0).head(None)
    assert (len(dataset.train), dataset.validation, len(dataset.test)) == (16, None, 8)


def test_a_source_that_is_not_a_folder_has_no_files(load: Load) -> None:
    assert load(draw()).test_files is load(draw()).head(2).test_files is None


# --- the digest --------------------------------------------------------------------------------------------------

PARTS = ["train_images", "train_labels", "test_images", "test_labels"]


def test_the_digest_is_the_sha256_of_the_images_then_the_labels(load: Load) -> None:
    arrays = draw()
    values = arrays.train_images, arrays.test_images, arrays.train_labels, arrays.test_labels
    content = b"".join(part.tobytes() for part in values)
    assert load(arrays).digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("changes", [{"limit": 3}, {"validation_size": 0}, {"validation_size": 9}])
def test_the_digest_does_not_depend_on_limit_or_validation(load: Load, changes: dict[str, int]) -> None:
    assert load(draw(), **changes).digest == load(draw()).digest


def test_the_digest_does_not_depend_on_the_order_in_memory() -> None:
    arrays = draw()
    turned = replace(arrays, train_images=np.asfortranarray(arrays.train_images))
    assert content_digest(turned) == content_digest(arrays)


@given(part=st.sampled_from(PARTS), data=st.data())
@settings(deadline=None)
def test_one_changed_byte_anywhere_changes_the_digest(part: str, data: st.DataObject) -> None:
    arrays = draw()
    changed = getattr(arrays, part).copy()
    changed.flat[data.draw(st.integers(0, changed.size - 1))] ^= data.draw(st.integers(1, 255))
    assert content_digest(replace(arrays, **{part: changed})) != content_digest(arrays)


# --- data and config that do not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["cat", "dog"], ["cat", "dog", "owl", "fox"]], ids=["too few", "too many"])
def test_class_names_that_do_not_fit_the_labels_are_refused(load: Load, names: list[str]) -> None:
    with pytest.raises(DataError) as raised:
        load(draw(), class_names=names)
    assert "given: its labels are 0 to 2" in str(raised.value)
    assert f"dataset.class_names has {len(names)} names; give 3 names" in str(raised.value)


def test_a_class_that_occurs_only_in_the_test_labels_counts(load: Load) -> None:
    arrays = replace(draw(), train_labels=np.zeros(16, np.uint8))
    assert load(arrays).class_names == ["cat", "dog", "owl"]


@pytest.mark.parametrize(
    ("changes", "configured"),
    [({"image_size": [2, 3]}, "2x3x1"), ({"image_size": [28, 28]}, "28x28x1"), ({"channels": 3}, "3x2x3")],
)
def test_images_of_another_shape_than_the_config_says_are_refused(
    load: Load, changes: dict[str, object], configured: str
) -> None:
    with pytest.raises(DataError) as raised:
        load(draw(), **changes)
    assert f"given: its images are 3x2x1, but the config says {configured}" in str(raised.value)
    assert "correct dataset.image_size and dataset.channels" in str(raised.value)


# --- the real ones -----------------------------------------------------------------------------------------------


@pytest.mark.skipif("DATA_DIR" not in os.environ, reason="DATA_DIR does not name a folder with the real data sets")
@pytest.mark.parametrize(("name", "labels"), [("mnist", [5, 0, 4, 1, 9]), ("fashion_mnist", [9, 0, 0, 3, 0])])
def test_of_60000_real_images_the_first_5000_are_for_validation(name: str, labels: list[int]) -> None:
    config = compose_config([f"dataset={name}", "dataset.source=full", "dataset.mirrors=[]"]).dataset
    everything, dataset = load_dataset(replace(config, validation_size=0)), load_dataset(config)
    assert everything.train.labels[:5].tolist() == labels
    assert_holds(dataset.validation, everything.train.images[:5_000], everything.train.labels[:5_000])
    assert_holds(dataset.train, everything.train.images[5_000:], everything.train.labels[5_000:])
    assert (len(dataset.train), len(dataset.test)) == (55_000, 10_000)
