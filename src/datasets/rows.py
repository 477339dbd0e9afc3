"""The rows of a manifest, as they are in a CSV, TSV or Parquet file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.datasets.images import ImageBytes
from src.datasets.listing import MAX_NAMED
from src.errors import DataError
from src.schema import ManifestConfig

SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
MAX_CELL = 2**31 - 1  # characters; Python's 131,072 are too few for a column of encoded pictures
PATH, LABEL, SPLIT, GROUP = "path", "label", "split", "group"


class Row(NamedTuple):
    """A row: its number in the file, counted from 1, and its cells; an empty string where there is none."""

    number: int
    path: str
    label: str
    split: str = ""
    group: str = ""


@dataclass
class Table:
    """The rows of a manifest.

    Attributes:
        file: the file, or the folder of Parquet files.
        unit: `line` or `row`, which the numbers count.
        columns: the name of each column that was found, by what it is.
        unused: the names of the other columns.
        rows: the rows in their order.
        label_names: the names of the labels 0, 1, 2, ..., if the file has them.
        contents: returns the image of each row; None if the rows name files.
    """

    file: Path
    unit: str
    columns: Mapping[str, str]
    unused: Sequence[str]
    rows: list[Row]
    label_names: Sequence[str] = ()
    contents: Callable[[], Iterable[ImageBytes]] | None = field(default=None, repr=False)

    def refuse(self, bad: Sequence[tuple[int, str]], problem: str, remedy: str) -> None:
        """Raise DataError if there are bad rows: how many, the first few, and what to do.

        Args:
            bad: the number of each row, and what is in it.
            problem: completes `3 of 200 rows of pets.csv ...`.
            remedy: what to do.
        """
        if not bad:
            return
        shown = [f"{self.unit} {number}{f' ({cell})' if cell else ''}" for number, cell in bad[:MAX_NAMED]]
        more = ", ..." if len(bad) > MAX_NAMED else ""
        rows = f"row{'s' * (len(self.rows) != 1)}"
        raise DataError(
            f"{len(bad)} of {len(self.rows):,} {rows} of {self.file} {problem}: {', '.join(shown)}{more}; {remedy}"
        )


def find_columns(config: ManifestConfig, file: Path, found: Sequence[str], needed: Sequence[str]) -> dict[str, str]:
    """Return the name of the column in the file for each of `path`, `image`, `label`, `split` and `group` that it has.

    Args:
        config: `columns` has the names to look for.
        file: for messages.
        found: the names of the columns in the file.
        needed: those that the file must have; `split` and `group` must be there only if their names were set.

    Raises:
        DataError: a column is missing or there are two of a name.
    """
    known: dict[str, list[str]] = {}
    for name in found:
        known.setdefault(name.strip().casefold(), []).append(name)
    defaults = type(config.columns)()
    columns = {}
    for key in (PATH, "image", LABEL, SPLIT, GROUP):
        wanted = getattr(config.columns, key)
        names = known.get(wanted.strip().casefold(), []) if wanted is not None else []
        if wanted in names:
            names = [name for name in names if name == wanted]
        if len(names) > 1:
            raise DataError(f"{file} has {len(names)} columns {wanted!r}; rename all but one")
        if names:
            columns[key] = names[0]
        elif key in needed or (wanted is not None and wanted != getattr(defaults, key)):
            raise DataError(
                f"{file} has no column {wanted!r}; its columns are {', '.join(map(repr, found)) or 'missing'}. Name "
                f"the right one with dataset.columns.{key}=NAME"
            )
    return columns


def read_text(config: ManifestConfig, file: Path) -> Table:
    """Return the rows of a CSV or TSV file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: the file is empty, cannot be read, has no columns for path and label, or rows of different lengths.
    """
    separator = SEPARATORS[file.suffix.lower()]
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            csv.field_size_limit(MAX_CELL)
            reader = csv.reader(opened, delimiter=separator, strict=True)
            header = next(reader, None)
            if header is None:
                raise DataError(
                    f"{file} is empty; write a line with the names of the columns ({config.columns.path}, "
                    f"{config.columns.label}) and a line for each image, or set dataset.file=FILE"
                )
            _check_separator(file, header, separator)
            columns = find_columns(config, file, header, needed=(PATH, LABEL))
            columns.pop("image", None)  # bytes are only in Parquet files
            lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not in UTF-8 ({error.reason}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: {error}; correct the quotation marks") from error
    places = {key: header.index(name) for key, name in columns.items()}
    unused = [name for name in header if name not in columns.values()]
    table = Table(file, "line", columns, unused, [])
    table.rows = [
        Row(number, **{key: cells[place].strip() for key, place in places.items()})
        for number, cells in lines
        if len(cells) == len(header)
    ]
    wrong = [(number, f"{len(cells)} cells") for number, cells in lines if len(cells) != len(header)]
    if wrong:
        table.rows = [Row(number, "", "") for number, _ in lines]
    table.refuse(
        wrong,
        f"do not have {len(header)} cells like the first line",
        f"put a cell that contains {SEPARATOR_NAMES[separator]} into quotation marks",
    )
    return table


def _check_separator(file: Path, header: Sequence[str], separator: str) -> None:
    if len(header) > 1:
        return
    line = "".join(header)
    for other, name in SEPARATOR_NAMES.items():
        if other != separator and other in line:
            suffix = next((suffix for suffix, its in SEPARATORS.items() if its == other), None)
            remedy = f"rename it to {file.stem}{suffix}" if suffix else "save it with commas"
            raise DataError(
                f"the columns of {file} are separated by {name}, expected {SEPARATOR_NAMES[separator]}; {remedy}"
            )
