"""Images to classify from folders, files and rows of pixels: in batches, in order, with errors as sentences."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.datasets.unlabeled import Batch, read_unlabeled
from src.errors import DataError
from tests.support.pictures import put_image

SHAPE = (6, 6, 1)


def batches(place: Path, batch_size: int = 4, shape: tuple[int, int, int] = SHAPE) -> list[Batch]:
    return list(read_unlabeled(place, shape, "stretch", batch_size).batches)


def names(found: list[Batch]) -> list[str]:
    return [name for batch in found for name in batch.names]


def bad(found: list[Batch]) -> list[tuple[str, str]]:
    return [(file.path, file.reason) for batch in found for file in batch.bad_files]


# --- files -------------------------------------------------------------------------------------------------------


def test_a_folder_with_its_subfolders_comes_in_batches_in_the_order_of_the_paths(tmp_path: Path) -> None:
    for number in (3, 1, 2, 5, 4):
        put_image(tmp_path / f"folder/{number % 2}/ä {number}.png", shade=number)
    found = batches(tmp_path / "folder", batch_size=2)
    assert names(found) == ["0/ä 2.png", "0/ä 4.png", "1/ä 1.png", "1/ä 3.png", "1/ä 5.png"]
    assert [batch.images.shape for batch in found] == [(2, *SHAPE), (2, *SHAPE), (1, *SHAPE)]
    assert [int(image[0, 0, 0]) for batch in found for image in batch.images] == [2, 4, 1, 3, 5]


def test_images_are_converted_where_those_of_the_training_were(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png", shade=9).rename(tmp_path / "a.jpg")
    (skipped,), (converted,) = (
        list(read_unlabeled(tmp_path, SHAPE, "crop", 4, convert).batches) for convert in (False, True)
    )
    assert bad([skipped]) == [("a.jpg", "suffix of another format")]
    assert converted.names == ["a.jpg"]


def test_one_file_is_one_image(tmp_path: Path) -> None:
    found = read_unlabeled(put_image(tmp_path / "a.png", shade=9), SHAPE, "crop", 4)
    (batch,) = found.batches
    assert (found.total, batch.names, int(batch.images.max())) == (1, ["a.png"], 9)


def test_images_get_the_size_and_channels_of_the_model(tmp_path: Path) -> None:
    put_image(tmp_path / "gray.png", shade=77)
    (batch,) = batches(tmp_path, shape=(9, 4, 3))
    assert batch.images.shape == (1, 9, 4, 3)
    assert np.unique(batch.images).tolist() == [77]


def test_files_that_are_not_images_are_skipped_with_their_reasons(tmp_path: Path) -> None:
    put_image(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "photo.heic").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("skipped silently")
    found = batches(tmp_path)
    assert names(found) == ["good.png"]
    assert sorted(bad(found)) == [
        ("bad.png", "not an image of a known format"),
        ("empty.jpg", "empty file"),
        ("photo.heic", "format that is not read"),
    ]


def test_a_batch_of_only_bad_files_contains_no_image(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    found = batches(tmp_path, batch_size=2)
    assert [batch.images.shape for batch in found] == [(0, *SHAPE)] * 2
    assert len(bad(found)) == 3


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    put_image(tmp_path / "folder/a.png")
    (tmp_path / "folder/b.png").symlink_to(put_image(tmp_path / "outside.png"))
    assert bad(batches(tmp_path / "folder")) == [("b.png", "link out of the folder")]


@pytest.mark.parametrize(("content", "sentence"), [(None, "{} does not exist"), ([], "there is no image file in {}")])
def test_a_place_without_images_is_named(tmp_path: Path, content: list[str] | None, sentence: str) -> None:
    place = tmp_path / "place"
    if content is not None:
        place.mkdir()
        (place / "notes.txt").touch()
    with pytest.raises(DataError, match=sentence.format(place)):
        batches(place)


# --- rows of pixels ----------------------------------------------------------------------------------------------

IMAGES = st.lists(st.lists(st.integers(0, 255), min_size=6, max_size=6), max_size=9)


@given(IMAGES, st.booleans(), st.booleans(), st.integers(1, 4))
def test_rows_are_images_with_or_without_a_header_and_labels(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[int]], header: bool, labels: bool, batch_size: int
) -> None:
    file = tmp_path_factory.mktemp("rows") / "pixels.csv"
    labels = labels and header
    lines = [[*("label",) * labels, *(f"pixel{index}" for index in range(6))]] if header else []
    lines += [[*("7",) * labels, *map(str, row)] for row in rows]
    file.write_text("".join(",".join(line) + "\n" for line in lines))
    found = batches(file, batch_size, (3, 2, 1))
    assert names(found) == [str(number) for number in range(len(rows))]
    assert list(itertools.chain(*(batch.images.reshape(-1, 6).tolist() for batch in found))) == rows


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1,2,3", r"line 2 of .*pixels.csv has 3 values; the model needs 2x2x1 = 4"),
        ("1,2,3,4,5", r"line 2 of .* has 5 values"),
        ("1,2,3,256", r"line 2 of .* has values from 1 to 256; pixels are from 0 to 255"),
        ("-1,2,3,4", r"line 2 of .* has values from -1 to 4"),
        ("0.5,0.1,0,1", r"line 2 of .*'0.5'; pixels are integers from 0 to 255"),
        ("1,2,3,x", r"line 2 of .*'x'; pixels are integers"),
    ],
)
def test_a_row_that_is_not_an_image_is_named_by_its_line(tmp_path: Path, line: str, sentence: str) -> None:
    (tmp_path / "pixels.csv").write_text(f"0,0,0,0\n{line}\n")
    with pytest.raises(DataError, match=sentence):
        batches(tmp_path / "pixels.csv", shape=(2, 2, 1))


@pytest.mark.parametrize("line", [",2,3,4", "x,2,3,4", "1,nan,3,4"])
def test_a_first_line_with_one_bad_value_is_not_a_header(tmp_path: Path, line: str) -> None:
    (tmp_path / "pixels.csv").write_text(f"{line}\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"line 1 of .*; pixels are integers"):
        batches(tmp_path / "pixels.csv", shape=(2, 2, 1))


def test_names_that_are_numbers_are_a_header_next_to_a_label(tmp_path: Path) -> None:
    (tmp_path / "pixels.csv").write_text("label,0,1,2,3\n7,1,2,3,4\n")
    (batch,) = batches(tmp_path / "pixels.csv", shape=(2, 2, 1))
    assert (batch.names, batch.images.ravel().tolist()) == (["0"], [1, 2, 3, 4])


def test_a_place_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        batches(tmp_path / ("x" * 300))


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pixels.csv").write_bytes(b"\xff\xfe\x00\x01" * 100)
    with pytest.raises(DataError, match=r"pixels.csv is not a CSV file of pixels"):
        batches(tmp_path / "pixels.csv")
