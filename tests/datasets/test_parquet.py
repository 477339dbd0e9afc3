"""Parquet files: images with and without paths, several files, types of columns."""

import math
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from src.datasets import Dataset, check_dataset, load_dataset
from src.datasets.arrays import BadFile
from src.errors import DataError
from src.schema.own_data import ColumnsConfig
from tests.support.parquet import write_images, write_table
from tests.support.pictures import Photos

LABELS = [*[0] * 40, *[1] * 20]
SHARDS = ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")


def contents(photos: Photos) -> list[bytes]:
    return [(photos.folder / path).read_bytes() for path in photos.paths()]


def images_of(dataset: Dataset) -> set[bytes]:
    splits = (dataset.train, dataset.validation, dataset.test)
    return {image.tobytes() for split in splits if split for image in split.images}


def test_a_file_with_paths_is_read_like_a_csv_file(pets: Photos) -> None:
    labels = [path.split("/")[0] for path in pets.paths()]
    write_table(pets.folder / "labels.parquet", {"path": pets.paths(), "label": labels})
    assert load_dataset(pets.manifest("labels.parquet")).digest == load_dataset(pets.config()).digest


@pytest.mark.parametrize("paths", [None, "same.png"])
def test_images_without_paths_of_their_own_are_named_after_their_rows(pets: Photos, paths: str | None) -> None:
    images = [{"bytes": content, "path": paths} for content in contents(pets)]
    write_table(pets.folder / "images.parquet", {"image": images, "label": LABELS})
    dataset = load_dataset(pets.manifest("images.parquet"))
    assert dataset.class_names == ["0", "1"]
    assert images_of(dataset) == images_of(load_dataset(pets.config()))
    assert min(dataset.test_files or []).startswith("images/000000")


def test_a_column_of_bytes_is_a_column_of_images(pets: Photos) -> None:
    write_table(pets.folder / "images.parquet", {"png": contents(pets), "label": LABELS})
    columns = ColumnsConfig(image="png")
    dataset = load_dataset(replace(pets.manifest("images.parquet"), columns=columns))
    assert images_of(dataset) == images_of(load_dataset(pets.config()))


def test_another_column_of_the_same_file_has_other_images(pets: Photos) -> None:
    """Both are in the cache, which must not mix them up."""
    photographs, masks = contents(pets), contents(pets)[::-1]
    write_table(pets.folder / "images.parquet", {"image": photographs, "mask": masks, "label": LABELS})
    manifest = pets.manifest("images.parquet")
    found = [load_dataset(replace(manifest, columns=ColumnsConfig(image=name))) for name in ("image", "mask")]
    assert found[0].digest != found[1].digest


def test_the_files_of_a_folder_have_their_split_in_their_names(pets: Photos) -> None:
    for start, name in enumerate(SHARDS):
        paths = pets.paths()[start::3]
        labels = [int(path.startswith("dog")) for path in paths]
        write_images(pets.folder / "data" / f"{name}.parquet", pets.folder, paths, labels, names=["cat", "dog"])
    dataset = load_dataset(pets.manifest("data"))
    assert set(dataset.test_files or []) == set(pets.paths()[2::3])
    assert dataset.class_names == ["cat", "dog"]
    assert len(dataset.train) + len(dataset.validation or ()) == 40


def test_older_files_that_exchange_their_names_are_decoded_again(pets: Photos) -> None:
    files = [pets.folder / "data" / f"{name}.parquet" for name in SHARDS]
    for start, file in enumerate(files):
        images = [{"bytes": content, "path": None} for content in contents(pets)[start::3]]
        write_table(file, {"image": images, "label": [0, 1] * 10})
        os.utime(file, (start, start))
    before = load_dataset(pets.manifest("data"))
    files[0].rename(pets.folder / "kept")
    files[1].rename(files[0])
    (pets.folder / "kept").rename(files[1])
    assert load_dataset(pets.manifest("data")).digest != before.digest


def test_an_image_without_bytes_is_a_bad_file(pets: Photos) -> None:
    found = dict(zip(pets.paths(), contents(pets), strict=True))
    images = [{"bytes": None if path == "cat/003.png" else found[path], "path": path} for path in found]
    write_table(pets.folder / "images.parquet", {"image": images, "label": LABELS})
    assert load_dataset(pets.manifest("images.parquet")).bad_files == [BadFile("cat/003.png", "empty file")]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (pa.array([1.0, 0.0] * 30), ["0", "1"]),  # what pandas makes of integers when some were missing
        (pa.array(["a", "b"] * 30).dictionary_encode(), ["a", "b"]),
        (pa.array([False, True] * 30), ["False", "True"]),
        (pa.array([b"a", b"b"] * 30), ["a", "b"]),
    ],
)
def test_labels_may_be_of_any_type_that_names_a_class(pets: Photos, labels: pa.Array, names: list[str]) -> None:
    write_table(pets.folder / "labels.parquet", {"path": pets.paths(), "label": labels})
    assert load_dataset(pets.manifest("labels.parquet")).class_names == names


def refuse(photos: Photos, sentence: str, **columns: object) -> None:
    write_table(photos.folder / "a.parquet", columns)
    with pytest.raises(DataError, match=sentence):
        check_dataset(photos.manifest("a.parquet"))


def test_columns_that_are_not_images_or_labels_are_refused(pets: Photos) -> None:
    image = {"bytes": b"", "path": ""}
    neither = r"a\.parquet has neither a column 'image' with images nor a column 'path' .*'photo', 'label'\. Name"
    refuse(pets, neither, photo=["a"], label=[1])
    refuse(pets, r"a\.parquet has no column 'label'; its columns are 'image'\.", image=[image])
    refuse(pets, r"column 'image' of .* is string, expected the bytes of image files", image=["a.png"], label=[1])
    refuse(pets, r"column 'label' of .* is list<.*>, expected strings or integers", image=[image], label=[[1, 0]])
    refuse(pets, r"column 'label' of .* is double, expected strings or integers", image=[image], label=[0.5])
    latin = [b"\xe9", b"\xe8"]
    not_utf_8 = r"column 'label' of .* has the cell b'\\xe9', which is not UTF-8; write the column as strings$"
    refuse(pets, not_utf_8, path=["cat/000.png", "cat/001.png"], label=latin)
    broken = pa.StringArray.from_buffers(2, *pa.array(latin).buffers()[1:])  # not checked by Arrow
    refuse(pets, not_utf_8, path=["cat/000.png", "cat/001.png"], label=broken)
    refuse(pets, r"^2 of 3 rows .* have no label: row 2, row 3; add it", image=[image] * 3, label=[1.0, None, math.nan])
    refuse(
        pets, r"^1 of 2 rows .* files that do not exist: row 2 \(x\.png\)", path=["cat/000.png", "x.png"], label=[1, 2]
    )


def test_a_label_that_the_file_has_no_name_for_is_out_of_range(pets: Photos) -> None:
    write_images(pets.folder / "a.parquet", pets.folder, pets.paths()[:3], [0, 1, -1], names=["cat", "dog"])
    with pytest.raises(DataError, match=r"^1 of 3 rows .* out of range: row 3 \(-1\); the file names 2 classes"):
        check_dataset(pets.manifest("a.parquet"))


def test_a_damaged_file_is_refused(pets: Photos) -> None:
    write_images(pets.folder / "a.parquet", pets.folder, pets.paths(), LABELS)
    (pets.folder / "a.parquet").write_bytes((pets.folder / "a.parquet").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as a Parquet file: .*; download or write it again"):
        check_dataset(pets.manifest("a.parquet"))


def test_files_of_a_folder_without_a_split_or_of_other_columns_are_refused(pets: Photos) -> None:
    folder = pets.folder / "data"
    write_images(folder / "train-0-of-1.parquet", pets.folder, pets.paths(), LABELS)
    write_images(folder / "extra.parquet", pets.folder, pets.paths(), LABELS)
    with pytest.raises(DataError, match=r"the name of .*extra\.parquet does not begin with a split"):
        check_dataset(pets.manifest("data"))
    (folder / "extra.parquet").unlink()
    write_table(folder / "test-0-of-1.parquet", {"path": ["a"], "label": [1]})
    with pytest.raises(DataError, match=r"the Parquet files in .*data differ in their columns; set dataset\.file"):
        check_dataset(pets.manifest("data"))


def test_a_single_file_named_after_a_split_is_divided(pets: Photos, tmp_path: Path) -> None:
    write_images(pets.folder / "train-00000-of-00001.parquet", pets.folder, pets.paths(), LABELS)
    assert load_dataset(pets.manifest("train-00000-of-00001.parquet")).class_counts()[0] == ("0", 28, 6, 6)
