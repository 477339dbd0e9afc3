"""Manifests: the same data as a folder, labels, splits and groups that they give, and bad rows."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.datasets import Dataset, check_dataset, class_names_of, find_below, load_dataset
from src.datasets.arrays import BadFile, Duplicate
from src.errors import ConfigError, DataError
from src.schema import ManifestConfig
from src.schema.own_data import ColumnsConfig
from tests.support.parquet import write_images
from tests.support.pictures import Photos, put_class, put_image


def rows_of(photos: Photos, *others: Callable[[str], object]) -> list[str]:
    """A row for each image: its path, the folder as label, and what the functions of the path return."""
    cells = [(path, path.split("/")[0], *(str(other(path)) for other in others)) for path in photos.paths()]
    return [",".join(row) for row in cells]


def number(path: str) -> int:
    return int(Path(path).stem)


def files_of(dataset: Dataset, split: str) -> set[str]:
    """The files of `validation` or `test`."""
    return set(getattr(dataset, f"{split}_files") or ())


# --- the same as a folder ------------------------------------------------------------------------------------------


def as_csv(photos: Photos) -> ManifestConfig:
    return photos.write("labels.csv", *reversed(rows_of(photos)))


def as_tsv(photos: Photos) -> ManifestConfig:
    rows = (row.replace(",", "\t") for row in rows_of(photos))
    return photos.write("labels.tsv", *rows, columns="path\tlabel")


def as_parquet(photos: Photos) -> ManifestConfig:
    """With the bytes of the images, as on the Hugging Face Hub: labels are numbers, whose names are in the file."""
    labels = [["cat", "dog"].index(path.split("/")[0]) for path in photos.paths()]
    write_images(photos.folder / "images.parquet", photos.folder, photos.paths(), labels, names=["cat", "dog"])
    return photos.manifest("images.parquet")


@pytest.mark.parametrize("write", [as_csv, as_tsv, as_parquet])
def test_a_manifest_has_the_pixels_splits_and_digest_of_the_folder(
    pets: Photos, write: Callable[[Photos], ManifestConfig]
) -> None:
    put_image(pets.folder / "cat/photo.jpg").rename(pets.folder / "cat/999.png")  # a bad file, in each
    manifest = write(pets)
    folder = load_dataset(pets.config())
    dataset = load_dataset(manifest)
    assert (dataset.digest, dataset.class_names) == (folder.digest, folder.class_names)
    assert dataset.bad_files == folder.bad_files == [BadFile("cat/999.png", "suffix of another format")]
    for split in ("train", "validation", "test"):
        ours, theirs = getattr(dataset, split), getattr(folder, split)
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert (dataset.validation_files, dataset.test_files) == (folder.validation_files, folder.test_files)


def test_a_manifest_of_folders_with_splits_has_the_digest_of_the_folder(photos: Photos) -> None:
    for split, size in (("train", 5), ("validation", 2), ("test", 3)):
        for name in ("cat", "dog"):
            put_class(photos.folder / split, name, size)
    rows = [f"{path},{path.split('/')[1]},{path.split('/')[0]}" for path in photos.paths()]
    folder = load_dataset(photos.config())
    dataset = load_dataset(photos.write("labels.csv", *rows, columns="path,label,split"))
    assert dataset.digest == folder.digest
    assert dataset.validation_files == folder.validation_files


def test_only_the_images_of_the_rows_are_read(pets: Photos) -> None:
    dataset = load_dataset(pets.write("labels.csv", *rows_of(pets)[10:]))
    assert sum(sum(counts) for _, *counts in dataset.class_counts()) == 50


def test_how_the_columns_were_read_is_noted(pets: Photos) -> None:
    rows = rows_of(pets, lambda path: "nice")
    (note,) = load_dataset(pets.write("labels.csv", *rows, columns=" Path,LABEL,comment")).notes
    assert note == "labels.csv: path from ' Path', label from 'LABEL'; columns that are not used: comment"


def test_other_names_of_the_columns_can_be_set(pets: Photos) -> None:
    manifest = pets.write("labels.csv", *rows_of(pets), columns="file,species")
    columns = ColumnsConfig(path="file", label="species")
    assert load_dataset(replace(manifest, columns=columns)).digest == load_dataset(pets.config()).digest


def test_duplicates_are_reported_as_in_a_folder(pets: Photos) -> None:
    put_image(pets.folder / "cat/a.png", shade=7)
    put_image(pets.folder / "dog/b.png", shade=7)
    rows = rows_of(pets, lambda path: "test" if path in ("dog/b.png", "cat/001.png") else "train")
    dataset = load_dataset(pets.write("labels.csv", *rows, columns="path,label,split"))
    (duplicate,) = dataset.duplicates
    assert duplicate in (
        Duplicate("test", "dog/b.png", "train", "cat/a.png"),
        Duplicate("test", "dog/b.png", "validation", "cat/a.png"),
    )


# --- what other programs write -------------------------------------------------------------------------------------


def test_a_byte_order_mark_and_line_ends_and_paths_of_windows_are_accepted(pets: Photos) -> None:
    manifest = pets.write("labels.csv", *(row.replace("/", "\\") for row in rows_of(pets)))
    file = pets.folder / "labels.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_dataset(manifest).digest == load_dataset(pets.config()).digest


def test_paths_and_classes_are_found_however_their_letters_are_composed(photos: Photos) -> None:
    put_class(photos.folder, "u\N{COMBINING DIAERESIS}", 3)
    put_class(photos.folder, "o", 3)
    rows = [row.replace("u\N{COMBINING DIAERESIS}", "ü") for row in rows_of(photos)]
    manifest = photos.write("labels.csv", *rows)
    assert load_dataset(manifest).class_names == ["o", "ü"]
    assert load_dataset(replace(manifest, class_names=["u\N{COMBINING DIAERESIS}", "o"])).class_names == ["ü", "o"]


def test_blank_lines_and_spaces_around_cells_do_not_matter(pets: Photos) -> None:
    rows = [f" {row.replace(',', ' , ')} " for row in rows_of(pets)]
    assert load_dataset(pets.write("labels.csv", "", *rows, "", " , ")).class_names == ["cat", "dog"]


def test_absolute_paths_in_the_folder_are_those_below_it(pets: Photos) -> None:
    rows = [f"{pets.folder}/./{row}" for row in rows_of(pets)]
    assert load_dataset(pets.write("labels.csv", *rows)).digest == load_dataset(pets.config()).digest


# --- labels --------------------------------------------------------------------------------------------------------


def test_labels_that_are_numbers_are_sorted_by_value(photos: Photos) -> None:
    put_class(photos.folder, "a", 9)
    rows = [f"{path},{[2, 10, 9][number(path) % 3]}" for path in photos.paths()]
    assert class_names_of(photos.write("labels.csv", *rows)) == ["2", "9", "10"]


def test_other_labels_than_integers_are_sorted_as_strings(photos: Photos) -> None:
    put_class(photos.folder, "a", 9)
    rows = [f"{path},{['1.0', '10.0', '9.0'][number(path) % 3]}" for path in photos.paths()]
    assert class_names_of(photos.write("labels.csv", *rows)) == ["1.0", "10.0", "9.0"]


def test_a_label_of_too_many_digits_for_an_integer_is_a_string(photos: Photos) -> None:
    put_class(photos.folder, "a", 2)
    rows = [f"{path},{'1' * [1, 5_000][number(path)]}" for path in photos.paths()]
    assert class_names_of(photos.write("labels.csv", *rows)) == ["1", "1" * 5_000]


def test_labels_that_are_numbers_may_be_given_names(pets: Photos) -> None:
    rows = [f"{path},{int(path.startswith('dog'))}" for path in pets.paths()]
    manifest = replace(pets.write("labels.csv", *rows), class_names=["tom", "rex"])
    dataset = load_dataset(manifest)
    assert [name for name, *_ in dataset.class_counts()] == ["tom", "rex"]
    assert dataset.digest == load_dataset(pets.config()).digest


def test_the_config_may_give_the_order_of_the_labels(pets: Photos) -> None:
    manifest = replace(pets.write("labels.csv", *rows_of(pets)), class_names=["dog", "cat"])
    assert load_dataset(manifest).class_counts()[0] == ("dog", 14, 3, 3)


# --- splits and groups ---------------------------------------------------------------------------------------------

SPLITS = [
    ({0, 1}, {2, 3, 4}, "validation test"),
    ({0, 1}, {2, 3, 4}, "VAL Testing"),
    ({0, 1}, set(), "valid test"),
    (set(), {2, 3, 4}, "dev test"),
    (set(), set(), "val test"),
]


@pytest.mark.parametrize(("validation", "test", "names"), SPLITS)
def test_given_splits_are_kept_and_the_others_are_a_share_of_each_class(
    pets: Photos, validation: set[int], test: set[int], names: str
) -> None:
    def split(path: str) -> str:
        inside = [number(path) in validation, number(path) in test, True]
        return [*names.split(), "Train"][inside.index(True)]

    dataset = load_dataset(pets.write("labels.csv", *rows_of(pets, split), columns="path,label,split"))
    for name, numbers in (("validation", validation), ("test", test)):
        if numbers:
            assert files_of(dataset, name) == {path for path in pets.paths() if number(path) in numbers}
    assert all(min(counts) > 0 for _, *counts in dataset.class_counts())


def test_the_digest_depends_on_given_splits_also_if_the_order_of_the_images_stays(pets: Photos) -> None:
    def digest(last: int) -> str:
        rows = rows_of(pets, lambda path: "train" if number(path) < last else "test")
        return load_dataset(pets.write("labels.csv", *rows, columns="path,label,split")).digest

    def only_cats(last: int) -> str:
        ordered = [
            f"{path},{number(path) % 2},{'train' if number(path) < last else 'test'}" for path in pets.paths()[:40]
        ]
        return load_dataset(pets.write("labels.csv", *ordered, columns="path,label,split")).digest

    assert digest(12) != digest(13)
    assert only_cats(20) != only_cats(21)  # without the splits, the same bytes in the same order


def person(path: str) -> str:
    return f"person {number(path) % 10}"


def groups_by_split(dataset: Dataset, paths: Sequence[str], group: Callable[[str], str]) -> dict[str, set[str]]:
    validation, test = files_of(dataset, "validation"), files_of(dataset, "test")
    splits: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for path in paths:
        splits["test" if path in test else "validation" if path in validation else "train"].add(group(path))
    return splits


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("given", [False, True])
def test_a_group_is_in_one_split(pets: Photos, seed: int, given: bool) -> None:
    others = [person, lambda path: "test" if number(path) % 10 in (3, 4) else "train"]
    columns = "path,label,group,split"
    rows = rows_of(pets, *others[: 1 + given])
    manifest = pets.write("labels.csv", *rows, columns=columns if given else columns.removesuffix(",split"))
    dataset = load_dataset(replace(manifest, split_seed=seed))
    found = groups_by_split(dataset, pets.paths(), person)
    assert sum(map(len, found.values())) == 10
    assert all(min(counts) > 0 for _, *counts in dataset.class_counts())
    assert (found["test"] == {"person 3", "person 4"}) or not given


def test_the_split_of_groups_never_changes(pets: Photos) -> None:
    """Stored runs name a seed, and have to find the same images again."""
    manifest = pets.write("labels.csv", *rows_of(pets, person), columns="path,label,group")
    found = groups_by_split(load_dataset(manifest), pets.paths(), person)
    assert (found["validation"], found["test"]) == ({"person 1"}, {"person 2", "person 3"})
    pets.write("labels.csv", *reversed(rows_of(pets, person)), columns="path,label,group")
    assert groups_by_split(load_dataset(manifest), pets.paths(), person) == found


def test_groups_may_be_ignored(pets: Photos) -> None:
    manifest = pets.write("labels.csv", *rows_of(pets, person), columns="path,label,group")
    ignoring = replace(manifest, columns=ColumnsConfig(group=None))
    assert load_dataset(ignoring).digest == load_dataset(pets.config()).digest != load_dataset(manifest).digest


def test_without_a_validation_split_all_groups_but_those_for_testing_are_trained_on(pets: Photos) -> None:
    manifest = pets.write("labels.csv", *rows_of(pets, person), columns="path,label,group")
    dataset = load_dataset(replace(manifest, validation_size=0))
    assert dataset.validation is None
    assert dataset.digest == load_dataset(manifest).digest


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            "path,label,group",
            r"^dataset\.validation_size=9: .*labels\.csv has groups, and a number .*validation_fraction",
        ),
        ("path,label,split", r"^dataset\.validation_size=9: .*labels\.csv has a validation split of its own; remove"),
    ],
)
def test_a_number_of_validation_images_is_refused_if_the_manifest_decides(
    pets: Photos, columns: str, sentence: str
) -> None:
    manifest = pets.write(
        "labels.csv", *rows_of(pets, lambda path: "val" if number(path) < 3 else "train"), columns=columns
    )
    with pytest.raises(ConfigError, match=sentence):
        load_dataset(replace(manifest, validation_size=9))


def test_a_class_of_too_few_groups_is_named(pets: Photos) -> None:
    manifest = pets.write("labels.csv", *rows_of(pets, lambda path: path[:3]), columns="path,label,group")
    with pytest.raises(
        DataError, match=r"class 'cat' in .* none of them for .*, because they belong to 1 group and all"
    ):
        load_dataset(manifest)


# --- bad rows ------------------------------------------------------------------------------------------------------

GOOD = ["cat/000.png,cat", "cat/001.png,cat", "dog/000.png,dog"]
IN_SPLITS, IN_GROUPS = "path,label,split", "path,label,split,group"


def with_cells(*cells: str) -> list[str]:
    return [f"{row},{cell}" for row, cell in zip(GOOD, cells, strict=True)]


BAD: list[tuple[str, Sequence[str], str]] = [
    (
        "path,label",
        [*GOOD, "cat/x.png,cat", "dog/y.png,dog"],
        r"^2 of 5 rows of .*labels\.csv name files that do not exist: line 5 \(cat/x\.png\), line 6 \(dog/y\.png\); "
        "paths are relative to .*photos; correct or remove the rows$",
    ),
    (
        "path,label",
        [f"cat/{number}.png,{number}" for number in range(9)],
        r"^9 of 9 rows .*line 6 \(cat/4\.png\), \.\.\.; paths",
    ),
    ("path,label", [*GOOD, "../x.png,cat"], r"^1 of 4 rows .* have paths outside the folder .*: line 5 \(\.\./x"),
    ("path,label", [*GOOD, "/x.png,cat"], r"^1 of 4 rows .* have paths outside the folder .*: line 5 \(/x"),
    ("path,label", [*GOOD, "C:\\x.png,cat"], r"^1 of 4 rows .* have paths outside the folder .*: line 5 \(C:\\x"),
    ("path,label", [*GOOD, "..\\x.png,cat"], r"^1 of 4 rows .* have paths outside the folder .*: line 5"),
    (
        "path,label",
        [*GOOD, "./cat/000.png,dog"],
        r"^1 of 4 rows .* name a file that an earlier row names: line 5 \(cat/000\.png, as in line 2\); keep one row",
    ),
    ("path,label", [*GOOD, "a.png,", "b.png, "], r"^2 of 5 rows .* have no label: line 5, line 6; add it"),
    ("path,label", [*GOOD, ",cat"], r"^1 of 4 rows .* have no path: line 5; correct or remove"),
    (
        "path,label",
        GOOD[:2],
        r"^all 2 rows of .*labels\.csv have the label 'cat'; at least two .*columns\.label=",
    ),
    ("path,label", [], r"labels\.csv has no rows; add one for each image"),
    (
        IN_SPLITS,
        with_cells("train", "holdout", "train"),
        r"^1 of 3 rows .* have an unknown split: line 3 \('holdout'\); use train, validation, test, or set "
        r"dataset\.columns\.split=null to divide",
    ),
    (IN_SPLITS, with_cells("train", "", "test"), r"^1 of 3 rows .* have no split, but others have one: line 3; use"),
    (IN_SPLITS, with_cells("test", "test", "test"), r"^no row of .*labels\.csv has the split train; use"),
    (
        IN_GROUPS,
        with_cells("train,ada", "train,ada", "val,ada"),
        r"^1 of 3 rows .* have a group that is in another split too: line 4 "
        r"\(group 'ada' is in validation here, in train in line 2\); move each group into one split",
    ),
    (IN_GROUPS, with_cells("train,ada", "test,", "test,bo"), r"^1 of 3 rows .* have no group: line 3; add it, or set"),
    (
        "path,label",
        [*GOOD, "cat/a,b.png,cat"],
        r"^1 of 4 rows .* do not have 2 cells like the first line: line 5 \(3 cells\); put a cell that contains commas",
    ),
]


@pytest.mark.parametrize(("columns", "rows", "sentence"), BAD)
def test_bad_rows_are_counted_and_the_first_few_are_named(
    pets: Photos, columns: str, rows: Sequence[str], sentence: str
) -> None:
    manifest = pets.write("labels.csv", *rows, columns=columns)
    with pytest.raises(DataError, match=sentence):
        check_dataset(manifest)
    with pytest.raises(DataError, match=sentence):
        load_dataset(manifest)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            "0 1 2 -1",
            r"^2 of 4 rows .* have labels that are out of range: line 4 \(2\), line 5 \(-1\); dataset\.class_names has "
            "2 classes, so labels are from 0 to 1",
        ),
        ("a b c c", r"^2 of 4 rows .* labels that are not in dataset\.class_names: line 4 \('c'\), line 5"),
    ],
)
def test_labels_that_are_not_among_the_classes_are_named(pets: Photos, labels: str, sentence: str) -> None:
    rows = [f"cat/{number:03}.png,{label}" for number, label in enumerate(labels.split())]
    with pytest.raises(DataError, match=sentence):
        check_dataset(replace(pets.write("labels.csv", *rows), class_names=["a", "b"]))


def test_links_out_of_the_folder_and_other_formats_are_skipped_as_in_a_folder(pets: Photos, tmp_path: Path) -> None:
    put_image(tmp_path / "elsewhere/1.png")
    (pets.folder / "cat/link.png").symlink_to(tmp_path / "elsewhere/1.png")
    (pets.folder / "album").symlink_to(tmp_path / "elsewhere")
    (pets.folder / "cat/scan.tif").write_bytes(b"II*\0")
    os.mkfifo(pets.folder / "cat/pipe.png")
    rows = [f"{path},cat" for path in ("album/1.png", "cat/link.png", "cat/pipe.png", "cat/scan.tif")]
    good = [row for row in rows_of(pets) if "link" not in row and "pipe" not in row]
    dataset = load_dataset(pets.write("labels.csv", *good, *rows))
    assert dataset.bad_files == [
        BadFile("album/1.png", "link out of the folder"),
        BadFile("cat/link.png", "link out of the folder"),
        BadFile("cat/pipe.png", "not a file"),
        BadFile("cat/scan.tif", "format that is not read"),
    ]
    following = load_dataset(replace(pets.manifest("labels.csv"), follow_links=True))
    assert [bad.path for bad in following.bad_files] == ["cat/pipe.png", "cat/scan.tif"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("labels.xlsx", r"labels\.xlsx: its name must end in \.csv, \.tsv or \.parquet; rename it"),
        (
            "none.csv",
            r"the manifest .*none\.csv does not exist; create it \(CSV, TSV or Parquet, with the columns path",
        ),
        ("cat", r"cat is a folder without Parquet files; .* or use dataset=image_folder dataset\.folder=FOLDER"),
    ],
)
def test_a_file_that_is_not_a_manifest_is_refused(pets: Photos, name: str, sentence: str) -> None:
    pets.write("labels.xlsx")
    with pytest.raises(DataError, match=sentence):
        check_dataset(pets.manifest(name))


# --- where the manifest is -----------------------------------------------------------------------------------------


def test_a_moved_manifest_is_found_below_the_other_folder_where_it_was_below_the_first(
    pets: Photos, tmp_path: Path
) -> None:
    manifest = replace(pets.write("labels.csv", *rows_of(pets)), data_dir=str(tmp_path))
    digest = load_dataset(manifest).digest
    (tmp_path / "new").mkdir()
    pets.folder.rename(tmp_path / "new/photos")
    moved = find_below(manifest, str(tmp_path / "new"))
    assert isinstance(moved, ManifestConfig)
    assert moved.file == str(tmp_path / "new/photos/labels.csv")
    assert load_dataset(moved).digest == digest
