"""Tables are read back exactly as they were written, and a spreadsheet finds no formula in them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.tables import NUMBER, csv_line, read_rows, read_table

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
CELLS = st.text() | st.text(alphabet="=+-@'\"\t\r\n, a0.\x00\ufeff＝") | st.floats().map(str) | st.integers().map(str)


@given(st.lists(st.lists(CELLS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_rows_of_strings_are_read_back_and_no_cell_is_a_formula(tmp_path: Path, rows: list[list[str]]) -> None:
    file = tmp_path / "table.csv"
    file.write_text("".join(map(csv_line, rows)), encoding="utf-8")
    assert read_rows(file) == rows
    with file.open(newline="", encoding="utf-8") as opened:
        cells = [cell for row in csv.reader(opened) for cell in row]
    assert [cell for cell in cells if cell.startswith(DANGEROUS) and not NUMBER.fullmatch(cell)] == []


WRITTEN = [
    ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"),
    ("+cat", "'+cat"),
    ("-cat", "'-cat"),
    ("@cat", "'@cat"),
    ("\tcat", "'\tcat"),
    ("\rcat", '"\'\rcat"'),
    ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
    ("1\n=2", '"1\n=2"'),
    ("'cat", "''cat"),
    ("cat", "cat"),
    ("a,b", '"a,b"'),
    ('a "b"', '"a ""b"""'),
    ("-0.5", "-0.5"),
    ("+1e-05", "+1e-05"),
    (-0.5, "-0.5"),
    (np.float32(-0.5), "-0.5"),
    (float("-inf"), "-inf"),
    (np.int64(-3), "-3"),
    (1e-20, "1e-20"),
    (None, '""'),
    ("", '""'),
]


@pytest.mark.parametrize(("cell", "written"), WRITTEN)
def test_a_cell_is_written_as_a_string_or_a_number(cell: object, written: str) -> None:
    assert csv_line([cell]) == f"{written}\n"


def test_an_empty_cell_among_others_has_no_quotes() -> None:
    assert csv_line(["a", "", None]) == "a,,\n"


def test_a_table_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(csv_line(("image", "=1+1")) + csv_line(("@a.png", "-0.5")))
    assert read_table(file) == [{"image": "@a.png", "=1+1": "-0.5"}]


@pytest.mark.parametrize("content", [b'"', b"\xff", b"a,b\n1\n"])
def test_a_file_that_is_not_a_table_is_a_value_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_table(tmp_path / "table.csv")


def test_an_empty_file_is_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "table.csv").touch()
    assert read_table(tmp_path / "table.csv") == []
