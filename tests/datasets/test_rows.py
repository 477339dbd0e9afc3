"""CSV and TSV files: columns, separators, and text that is not a table."""

from pathlib import Path

import pytest

from src.datasets.rows import Row, read_text
from src.errors import DataError
from src.schema import ManifestConfig
from src.schema.own_data import ColumnsConfig


def config(file: Path, **columns: str | None) -> ManifestConfig:
    return ManifestConfig(
        name="pets",
        loader="manifest",
        image_size=[6, 6],
        channels=1,
        file=str(file),
        columns=ColumnsConfig(**columns),  # type: ignore[arg-type]
    )


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_rows_have_their_line_even_after_blank_lines_and_cells_of_several_lines(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", 'path,label,split,group\n\na.png,cat,train,x\n"b\nc.png",dog,test,y\n')
    assert read_text(config(file), file).rows == [
        Row(3, "a.png", "cat", "train", "x"),
        Row(5, "b\nc.png", "dog", "test", "y"),
    ]


def test_a_column_for_splits_or_groups_need_not_be_there_unless_it_was_named(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "path,label\na.png,cat\n")
    assert read_text(config(file), file).rows == [Row(2, "a.png", "cat")]
    with pytest.raises(DataError, match=r"no column 'patient'; its columns are 'path', 'label'\. .*group=NAME"):
        read_text(config(file, group="patient"), file)


def test_a_column_that_is_not_used_may_have_very_long_cells(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", f"path,label,pixels\na.png,cat,{'0' * 200_000}\n")
    assert read_text(config(file), file).rows == [Row(2, "a.png", "cat")]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.csv",
            "path;label\n",
            r"^the columns of .*a\.csv are separated by semicolons, expected commas; save it with",
        ),
        ("a.csv", "path\tlabel\n", r"a\.csv are separated by tabs, expected commas; rename it to a\.tsv"),
        ("a.tsv", "path,label\n", r"a\.tsv are separated by commas, expected tabs; rename it to a\.csv"),
        (
            "a.csv",
            "cat/1.png,cat\n",
            r"a\.csv has no column 'path'; its columns are 'cat/1\.png', 'cat'\. Name the right",
        ),
        ("a.csv", "path,species\n", r"has no column 'label'; .* with dataset\.columns\.label=NAME"),
        ("a.csv", "path,label,Label \nx,y,z\n", None),
        ("a.csv", "path,Label,LABEL\n", r"a\.csv has 2 columns 'label'; rename all but one"),
        ("a.csv", "", r"a\.csv is empty; write a line with the names of the columns \(path, label\) and a line for"),
        ("a.csv", "\n", r"a\.csv has no column 'path'; its columns are missing"),
        ("a.csv", 'path,label\n"a.png,cat\n', r"a\.csv, line 2: .*; correct the quotation marks"),
        (
            "a.csv",
            "path,label\n\xfc.png,cat\n".encode("latin-1"),
            r"a\.csv is not in UTF-8 \(.*\); save it as CSV in UTF-8",
        ),
        ("a.csv", "path,label\n".encode("utf-16"), r"a\.csv is not in UTF-8"),
    ],
)
def test_text_that_is_not_a_manifest_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: str | bytes, sentence: str | None
) -> None:
    file = write(tmp_path, name, content)
    if sentence is None:  # a name as it was given is preferred
        assert read_text(config(file), file).rows[0].label == "y"
        return
    with pytest.raises(DataError, match=sentence):
        read_text(config(file), file)
