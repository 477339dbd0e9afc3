"""A folder about a data set: a page with tables and pictures that works offline, and the tables as CSV files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from src.errors import DataError
from src.reports.html import as_html, html_table, page
from src.tables import csv_line
from src.writing import remove, replacing

MAX_ROWS = 200  # of a table in the page
STYLE = """
p.warning { border-left: 4px solid #d08700; background: #fdf5e3; padding: 6px 12px; }
.box { max-height: 480px; }
th { padding: 6px 12px; }
td { padding: 3px 12px; }
img { max-width: 100%; }
"""


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        title: its heading.
        columns, rows: a table, with the cells as they are shown; no columns for a section without a table.
        note: a sentence below the heading.
        picture: the name of a picture in the folder.
        file: the name of the CSV file with the whole table, None for a table that has no file.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    note: str = ""
    picture: str | None = None
    file: str | None = None


class DataReport(NamedTuple):
    """A page about a data set.

    Attributes:
        page: the file name of the page.
        title: the first line.
        warnings: sentences that a reader must know.
        sections: in their order.
        figures: file name -> Matplotlib figure.
        tables: file name -> columns and rows of a CSV file.
        names: the names of all files that an earlier report of this kind may have left behind.
    """

    page: str
    title: str
    warnings: Sequence[str]
    sections: Sequence[Section]
    figures: Mapping[str, Any]
    tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[object]]]]
    names: Sequence[str]


def write_report(report: DataReport, folder: Path) -> Path:
    """Write the page with its pictures and tables into a folder, and return the page.

    Files of an earlier report are replaced or removed; other files in the folder stay as they are.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        for name in report.names:
            if name not in (*report.figures, *report.tables):
                remove(folder / name)
        for name, figure in report.figures.items():
            with replacing(folder / name) as part, warnings.catch_warnings():
                # Class names may be in any script. A letter that the font does not have is drawn as a box.
                warnings.filterwarnings("ignore", r"Glyph .* missing from font")
                figure.savefig(part, format="png")
        for name, (columns, rows) in report.tables.items():
            with replacing(folder / name) as part:
                part.write_text("".join(map(csv_line, (columns, *rows))), encoding="utf-8")
        with replacing(folder / report.page) as part:
            part.write_text(page_of(report), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}; name another output=") from error
    return folder / report.page


def page_of(report: DataReport) -> str:
    """Return the page as HTML; its pictures are files next to it."""
    warned = (f'<p class="warning">{as_html(warning)}</p>' for warning in report.warnings)
    return page(report.title, [*warned, *map(_section, report.sections)], STYLE)


def _section(section: Section) -> str:
    parts = [f"<section><h2>{as_html(section.title)}</h2>"]
    if section.note:
        parts.append(f"<p>{as_html(section.note)}</p>")
    if section.columns:
        rows = section.rows[:MAX_ROWS]
        parts.append(html_table(section.columns, rows))
        if len(section.rows) > len(rows) and section.file:
            first = f"The first {len(rows)} of {len(section.rows):,} rows"
            parts.append(f"<p>{first}; {as_html(section.file)} has all.</p>")
    if section.picture:
        parts.append(f'<p><img src="{as_html(section.picture)}" alt="{as_html(section.title)}"></p>')
    return "\n".join([*parts, "</section>"])
