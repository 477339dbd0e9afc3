"""The folder with the report about a data set."""

import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from src.errors import DataError
from src.reports import DataReport, Section, write_report
from src.reports.data_page import MAX_ROWS, page_of
from src.tables import read_rows

SECTION = Section("pairs", ("image", "class"), [("<b>.png", "a & b")], "look at them", "pairs.png", "pairs.csv")


def report(**changes: Any) -> DataReport:
    tables = {"pairs.csv": (("image", "class"), [("<b>.png", "=1+1")])}
    made = DataReport(
        "check.html", "pets", ["a warning"], [SECTION], {"pairs.png": Figure()}, tables, ["pairs.png", "pairs.csv"]
    )
    return made._replace(**changes)


def test_the_folder_has_the_page_its_pictures_and_its_tables_and_nothing_else(tmp_path: Path) -> None:
    assert write_report(report(), tmp_path / "new/check") == tmp_path / "new/check/check.html"
    assert sorted(path.name for path in (tmp_path / "new/check").iterdir()) == ["check.html", "pairs.csv", "pairs.png"]
    assert (tmp_path / "new/check/pairs.png").read_bytes().startswith(b"\x89PNG")
    assert read_rows(tmp_path / "new/check/pairs.csv") == [["image", "class"], ["<b>.png", "=1+1"]]


def test_a_second_report_removes_what_it_no_longer_has_and_leaves_other_files_alone(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    write_report(report(figures={}, tables={}), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["check.html", "notes.txt"]


def test_a_folder_that_cannot_be_written_is_reported_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file cannot be written: .*; name another output="):
        write_report(report(), tmp_path / "file")


def test_names_are_text_in_the_page_and_pictures_are_files_next_to_it() -> None:
    page = page_of(report())
    assert "<td>&lt;b&gt;.png</td><td>a &amp; b</td>" in page
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["pairs.png"]
    assert '<p class="warning">a warning</p>' in page


def test_of_a_long_table_the_page_has_the_first_rows_and_names_the_file_with_all() -> None:
    page = page_of(report(sections=[SECTION._replace(rows=[("a", "b")] * (MAX_ROWS + 1000))]))
    assert page.count("<tr>") == MAX_ROWS + 1  # with the header
    assert "The first 200 of 1,200 rows; pairs.csv has all." in page
