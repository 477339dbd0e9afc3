"""Labels that a model contradicts: the images of the folds, and what is shown."""

from typing import Any

import numpy as np
import pytest

from src.datasets import load_dataset
from src.errors import StoreError
from src.reports import check_labels
from src.reports.label_check import Predicted, check_out_of_fold, without_folds
from tests.support.pictures import Photos, put_class


@pytest.fixture
def photos(tmp_path) -> Photos:
    """A split for training, one for validation and one for testing."""
    made = Photos(tmp_path / "photos", tmp_path / "cache")
    for split, count in (("train", 7), ("validation", 4), ("test", 2)):
        for name in ("cat", "dog"):
            put_class(made.folder / split, name, count)
    return made


@pytest.mark.parametrize("changes", [{}, {"limit": 12}, {"split_seed": 3, "fold_seed": 5}])
def test_the_training_images_without_folds_are_those_of_all_folds_in_the_order_of_the_source(
    photos: Photos, changes: dict[str, Any]
) -> None:
    folds = [load_dataset(photos.config(folds=3, fold=fold, **changes)) for fold in (1, 2, 3)]
    everything = load_dataset(without_folds(photos.config(folds=3, fold=1, **changes)))
    assert everything.digest == folds[0].digest
    files = {
        int(index): file
        for fold in folds
        for index, file in zip(fold.validation_indices, fold.validation_files or (), strict=True)
    }
    assert files == dict(enumerate(everything.train_files or ()))
    for fold in folds:
        assert fold.validation is not None
        np.testing.assert_array_equal(fold.validation.images, everything.train.images[fold.validation_indices])


@pytest.mark.parametrize(("indices", "classes"), [([0, 7], 3), ([0, -1], 3), ([0, 1], 2)])
def test_damaged_out_of_fold_predictions_are_refused(indices: list[int], classes: int) -> None:
    check_out_of_fold("abc", np.array([0, 6]), np.ones((2, 3), np.float32), 7, 3)
    with pytest.raises(StoreError, match="run abc: its out-of-fold predictions are not those of 7 training images"):
        check_out_of_fold("abc", np.array(indices), np.ones((2, classes), np.float32), 7, 3)


def predicted(files: list[str] | None) -> Predicted:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]], np.float32)
    images = np.arange(5, dtype=np.uint8).repeat(4).reshape(5, 2, 2, 1)
    labels = np.array([0, 0, 0, 1, 1], np.uint8)
    return Predicted("images", np.array([4, 5, 6, 7, 8]), images, labels, probabilities, files, ["cat", "dog"])


@pytest.mark.parametrize(("files", "name"), [(None, "#6"), (["a", "b", "c", "d", "e"], "c")])
def test_a_label_is_listed_with_its_image_both_classes_and_both_probabilities(
    files: list[str] | None, name: str
) -> None:
    report = check_labels(predicted(files), "abc")
    assert report.title == "run abc: the model contradicts 1 label of 5 images"
    assert report.sections[0].rows == [(name, "cat", "dog", "0.9000", "0.1000")]
    ((row,),) = [rows for _, rows in report.tables.values()]
    assert row == (6, files[2] if files else "", 0, "cat", 1, "dog", "0.900000", "0.100000")
    assert list(report.figures) == ["label_issues.png"]


def test_a_model_that_agrees_has_an_empty_table_and_no_picture() -> None:
    agreed = predicted(None)._replace(labels=np.array([0, 0, 1, 1, 1], np.uint8))
    report = check_labels(agreed, "abc")
    assert report.title == "run abc: the model contradicts 0 labels of 5 images"
    assert (report.figures, report.sections[0].rows) == ({}, [])
