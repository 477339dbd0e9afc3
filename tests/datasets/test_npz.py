"""Arrays in NPZ files: splits, ranges of values, labels, and files that are refused."""

import io
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.datasets import check_dataset, class_names_of, load_dataset
from src.errors import ConfigError, DataError
from src.schema import ArraysConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 1), np.uint8)
LABELS = np.arange(60) % 3
TRAIN, TEST = slice(40), slice(40, 60)
IN_SPLITS = {"x_train": IMAGES[TRAIN], "y_train": LABELS[TRAIN], "x_test": IMAGES[TEST], "y_test": LABELS[TEST]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shapes.npz"


def config(file: Path, **changes: Any) -> ArraysConfig:
    made = ArraysConfig(name="shapes", loader="arrays", image_size=[6, 5], channels=1, file=str(file))
    return replace(made, **changes)


def save(file: Path, **arrays: Any) -> ArraysConfig:
    np.savez(file, **arrays)
    return config(file)


# --- splits --------------------------------------------------------------------------------------------------------


def test_images_for_training_and_testing_are_kept_apart(file: Path) -> None:
    dataset = load_dataset(save(file, **IN_SPLITS))
    np.testing.assert_array_equal(dataset.test.images[np.argsort(dataset.test_files or [])], IMAGES[TEST])
    assert dataset.validation is not None
    assert (len(dataset.train), len(dataset.validation)) == (34, 6)
    assert {image.tobytes() for split in (dataset.train, dataset.validation) for image in split.images} == {
        image.tobytes() for image in IMAGES[TRAIN]
    }
    assert (dataset.source, dataset.class_names) == ("arrays", ["0", "1", "2"])


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
        ("X_train", "Y_train", "X_valid", "Y_valid", "X_test", "Y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    ],
)
def test_images_for_validation_are_kept_under_any_usual_name(file: Path, names: tuple[str, ...]) -> None:
    parts = [slice(40), slice(40, 50), slice(50, 60)]
    arrays = [array[part] for part in parts for array in (IMAGES, LABELS[:, None])]
    dataset = load_dataset(save(file, **dict(zip(names, arrays, strict=True))))
    assert dataset.validation is not None
    np.testing.assert_array_equal(
        dataset.validation.images[np.argsort(dataset.validation_files or [])], IMAGES[parts[1]]
    )
    assert dataset.notes == [
        f"shapes.npz: train from {names[0]!r}, validation from {names[2]!r}, test from {names[4]!r}"
    ]


def test_images_that_are_all_together_are_divided(file: Path) -> None:
    arrays = save(file, images=IMAGES[..., 0], labels=LABELS, names=np.array(["a"]))
    dataset = load_dataset(arrays)
    assert dataset.class_counts() == [("0", 14, 3, 3), ("1", 14, 3, 3), ("2", 14, 3, 3)]
    assert dataset.notes == ["shapes.npz: all images from 'images'; arrays that are not used: names"]
    assert load_dataset(replace(arrays, validation_size=0)).digest == dataset.digest
    assert load_dataset(replace(arrays, split_seed=1)).digest != dataset.digest
    for name, label in zip(dataset.test_files or [], dataset.test.labels, strict=True):
        assert LABELS[int(name)] == label


def test_the_digest_depends_on_where_the_splits_end(file: Path) -> None:
    def digest(end: int) -> str:
        parts = {"x_train": IMAGES[:end], "y_train": LABELS[:end], "x_test": IMAGES[end:], "y_test": LABELS[end:]}
        return load_dataset(save(file, **parts)).digest

    assert digest(40) == digest(40) != digest(41)


def test_a_number_of_validation_images_is_refused_if_the_file_has_some(file: Path) -> None:
    arrays = save(file, **IN_SPLITS, x_val=IMAGES[:9], y_val=LABELS[:9])
    with pytest.raises(ConfigError, match=r"shapes\.npz has a validation split of its own"):
        load_dataset(replace(arrays, validation_size=5))


# --- values and labels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 1, np.float32), (-1, 1, np.float64), (0, 255, np.float32), (0, 255, np.int64), (0, 1, np.float16)],
)
def test_values_of_a_stated_range_are_the_same_bytes(file: Path, low: int, high: int, dtype: type) -> None:
    expected = load_dataset(save(file, images=IMAGES, labels=LABELS)).digest
    scaled: np.ndarray = (IMAGES / 255 * (high - low) + low).round(8 if high < 255 else 0).astype(dtype)
    dataset = load_dataset(replace(save(file, images=scaled, labels=LABELS), value_range=[low, high]))
    assert dataset.digest == expected


def test_labels_may_be_strings_and_numbers_may_be_given_names(file: Path) -> None:
    names = ["ring", "disk", "cross"]
    dataset = load_dataset(save(file, images=IMAGES, labels=np.array(names)[LABELS]))
    assert dataset.class_names == ["cross", "disk", "ring"]
    numbers = replace(save(file, images=IMAGES, labels=LABELS), class_names=names)
    assert [name for name, *_ in load_dataset(numbers).class_counts()] == names
    assert class_names_of(replace(numbers, class_names=[])) == ["0", "1", "2"]


def test_labels_of_bytes_are_strings_in_utf_8(file: Path) -> None:
    names = np.array(["café".encode(), b"tea"])
    assert class_names_of(save(file, images=IMAGES, labels=names[np.arange(60) % 2])) == ["café", "tea"]


def test_names_are_the_same_however_their_letters_are_composed(file: Path) -> None:
    typed = "cafe\N{COMBINING ACUTE ACCENT}"
    saved = save(file, images=IMAGES, labels=np.array([typed, "café", "tea"])[LABELS])
    assert class_names_of(saved) == ["café", "tea"]
    assert load_dataset(replace(saved, class_names=["tea", typed])).class_names == ["tea", "café"]


def test_labels_may_be_integers_of_another_type_in_each_split(file: Path) -> None:
    arrays = IN_SPLITS | {"y_train": IN_SPLITS["y_train"].astype(np.int64), "y_test": LABELS[TEST].astype(np.uint64)}
    assert load_dataset(save(file, **arrays)).class_names == ["0", "1", "2"]


NAN = np.where(np.arange(60)[:, None, None, None] == 7, np.nan, IMAGES / 255)
BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"images": IMAGES / 255, "labels": LABELS}, {}, r"images is float64, and its values of black and white are not"),
    ({"images": IMAGES / 200, "labels": LABELS}, {"value_range": [0, 1]}, r"^\d+ of 60 in images of .*shapes\.npz have "
     r"values outside of 0 to 1: images\[0\] \(.* to 1\.\d+\), .*; correct"),
    ({"images": NAN, "labels": LABELS}, {"value_range": [0, 1]}, r"^1 of 60 in images .*: images\[7\] \(nan to nan\)"),
    ({"images": IMAGES, "labels": LABELS}, {"value_range": [0, 1]}, r"is uint8, .* remove"),
    ({"images": IMAGES.astype(complex), "labels": LABELS}, {"value_range": [0, 1]}, r"images is complex128, expected"),
    ({"images": IMAGES, "labels": LABELS - 1}, {}, r"^20 of 60 in labels .* are out of range: labels\[0\] \(-1\)"),
    ({"images": IMAGES, "labels": LABELS}, {"class_names": ["a", "b"]}, r"^20 of 60 in labels .* are out of range: "
     r"labels\[2\] \(2\), .*; labels are from 0 to 1, because dataset\.class_names has 2 classes; correct"),
    ({"images": IMAGES, "labels": np.array(["a", "b", "c"])[LABELS]}, {"class_names": ["a", "b"]},
     r"^20 of 60 in labels .* are not in dataset\.class_names: labels\[2\] \('c'\), .* the classes are a, b; correct"),
    ({"images": IMAGES, "labels": LABELS * 0}, {}, r"^all images in .*shapes\.npz have the label 0"),
    ({"images": IMAGES, "labels": np.eye(3)[LABELS]}, {}, r"labels has the shape \(60, 3\), .*argmax"),
    ({"images": IMAGES, "labels": LABELS[:9]}, {}, r"labels has the shape \(9,\), expected \(60,\)"),
    ({"images": IMAGES, "labels": LABELS / 1}, {}, r"labels is float64, expected integers or strings"),
    ({"images": IMAGES, "labels": np.array([b"\xe9", b"tea", b"milk"])[LABELS]}, {}, r"labels has the label "
     r"b'\\xe9', which is not UTF-8; save the labels as strings, for example numpy\.strings\.decode\(labels, "),
    ({"x_train": IMAGES / 255, "y_train": LABELS, "x_test": IMAGES[:0] / 255, "y_test": LABELS[:0]},
     {"value_range": [0, 1]}, r"^class '0' in .* has 20 usable images: none of them for test"),
    ({"images": IMAGES.reshape(60, 3, 5, 2), "labels": LABELS}, {}, r"channels first"),
    ({"images": IMAGES.reshape(60, 30), "labels": LABELS}, {}, r"has the shape \(60, 30\), expected"),
    ({"images": IMAGES.reshape(60, 10, 3, 1), "labels": LABELS}, {}, r"has the shape \(60, 10, 3, 1\), but the "
     r"configuration says \(6, 5, 1\); set 'dataset\.image_size=\[10,3\]' dataset\.channels=1"),
    ({"a": IMAGES, "b": LABELS}, {}, r"has the arrays a, b; expected"),
    ({"x_test": IMAGES, "y_test": LABELS}, {}, r"has the arrays x_test, y_test; expected x_train"),
    ({"images": IMAGES, "labels": np.zeros(60, [("é", int)])}, {}, r"labels is .*, expected integers or"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "changes", "sentence"), BAD)
def test_arrays_that_are_not_images_and_labels_are_refused_with_the_reason(
    file: Path, arrays: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        load_dataset(replace(save(file, **arrays), **changes))


class Trap:
    """Leaves a file where it was unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_pickled_objects_are_refused_and_never_read(file: Path, tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")] * 60, dtype=object)
    np.savez(file, images=IMAGES, labels=trap, allow_pickle=True)
    with pytest.raises(DataError, match=r"contains labels as pickled Python objects, which can run any code and so"):
        check_dataset(config(file))
    file.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(DataError, match=r"shapes\.npz is not an NPZ file: .*; save it with numpy\.savez"):
        check_dataset(config(file))
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_is_missing_or_damaged_is_refused(file: Path) -> None:
    with pytest.raises(DataError, match=r"shapes\.npz does not exist; save images with numpy\.savez"):
        check_dataset(config(file))
    images = np.concatenate([IMAGES] * 50)  # more than is read with the header
    np.savez(file, images=images, labels=np.tile(LABELS, 50))
    content = bytearray(file.read_bytes())
    content[80_000] ^= 1  # one bit of an image
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"images cannot be read \(Bad CRC-32.*\); save the file again"):
        load_dataset(config(file))


def test_an_array_that_claims_to_be_larger_than_the_memory_is_refused_before_it_is_read(file: Path) -> None:
    """A compressed file of a few bytes may contain terabytes."""
    header = (
        np.lib.format.magic(1, 0)
        + b"\x76\x00"
        + (b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1099511627776, 5, 1), }".ljust(117) + b"\n")
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", header)
        archive.writestr("labels.npy", _npy(np.array([0, 1])))
    with pytest.raises(DataError, match=r"takes \d{4,}\.\d GB of memory, but .* are free; save fewer images"):
        load_dataset(config(file, image_size=[2**40, 5]))


@pytest.mark.parametrize(
    ("header", "length", "sentence"),
    [
        (b"", 2**30, r"the header of images\.npy has 1,073,741,824 bytes, expected up to 10,000; save it with"),
        (b"(" * 9_000, 9_000, r"the header of images\.npy cannot be read; save it with"),
        (b"-" * 9_000, 9_000, r"the header of images\.npy cannot be read; save it with"),
    ],
)
def test_a_header_that_is_too_long_or_deeply_nested_is_refused(
    file: Path, header: bytes, length: int, sentence: str
) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", np.lib.format.magic(2, 0) + length.to_bytes(4, "little") + header)
    with pytest.raises(DataError, match=sentence):
        check_dataset(config(file))


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
