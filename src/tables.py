"""CSV files that a spreadsheet shows without running formulas, and that read back exactly as they were written.

A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break as a formula, and names of classes
and files can contain anything. Such a string gets a leading apostrophe, and so does one that begins with an apostrophe.
"""

import csv
import re
from collections.abc import Iterable
from numbers import Number
from pathlib import Path

# The last four are the full-width forms, which some spreadsheets treat like the others.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|nan)")
QUOTED = re.compile(r'[,"\r\n]')


def csv_line(cells: Iterable[object]) -> str:
    """Return a row as a line with a line break. None is an empty cell, and numbers stay as they are."""
    texts = [_escaped(cell) for cell in cells]
    if texts == [""]:
        return '""\n'  # an empty line would be a row without cells
    # The csv module writes a carriage return without quotes, and then reads it as the end of the row.
    return ",".join(f'"{text.replace(chr(34), chr(34) * 2)}"' if QUOTED.search(text) else text for text in texts) + "\n"


def read_rows(file: Path) -> list[list[str]]:
    """Return all rows of such a file, including the header, as the strings that were written.

    Raises:
        ValueError: it is not UTF-8, or not CSV.
    """
    with file.open(newline="", encoding="utf-8") as opened:
        try:
            return [[cell.removeprefix("'") for cell in row] for row in csv.reader(opened, strict=True)]
        except csv.Error as error:
            raise ValueError(f"{file} is not a CSV file: {error}") from error


def read_table(file: Path) -> list[dict[str, str]]:
    """Return the rows of a file with a header, each as a dictionary by column.

    Raises:
        ValueError: it is not UTF-8, not CSV, or a row does not have as many cells as the header.
    """
    header, *rows = read_rows(file) or [[]]
    return [dict(zip(header, row, strict=True)) for row in rows]


def _escaped(cell: object) -> str:
    text = "" if cell is None else str(cell)
    if isinstance(cell, Number) or NUMBER.fullmatch(text):
        return text
    return f"'{text}" if text.startswith(("'", *FORMULA_SIGNS)) else text
