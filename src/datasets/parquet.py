"""Parquet files with paths of images, or with the images themselves, as the Hugging Face Hub stores them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.datasets.images import ImageBytes
from src.datasets.listing import MAX_SHOWN, SPLIT_NAMES
from src.datasets.rows import LABEL, PATH, SPLIT, Row, Table, find_columns
from src.errors import DataError, first_line
from src.schema import ManifestConfig

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

BATCH_ROWS = 64  # images whose bytes are in memory together
SHARD = re.compile(r"([A-Za-z]+)-\d+-of-\d+")  # train-00000-of-00002.parquet: the split is in the name


def read_parquet(config: ManifestConfig, place: Path, files: Sequence[Path]) -> Table:
    """Return the rows of one or more Parquet files.

    Args:
        config: the data set.
        place: the file, or the folder of the files.
        files: at least one. Without a column for the split, the names of several files begin with it.

    Raises:
        DataError: a file cannot be read, has neither images nor paths, has no labels, or has other columns than the
            first one.
    """
    rows: list[Row] = []
    names: list[str] = []
    found: list[tuple[dict[str, str], Sequence[str], Sequence[str]]] = []
    for file in files:
        with _opened(file) as opened:
            schema = opened.schema_arrow
            columns = _find_columns(config, file, schema)
            found.append(
                (columns, [name for name in schema.names if name not in columns.values()], _names(schema, columns))
            )
            cells = {key: _cells(opened, file, columns[key]) for key in columns if key != "image"}
            if SPLIT not in columns and len(files) > 1:
                cells[SPLIT] = [_split_of(file)] * opened.metadata.num_rows
            if "image" in columns:
                inner = _cells(opened, file, columns["image"], "path")
                cells[PATH] = inner if all(inner) else cells.get(PATH, inner)
                names += [f"{file.stem}/{number:08}" for number in range(1, len(inner) + 1)]
            rows += [
                Row(len(rows) + number, **dict(zip(cells, values, strict=True)))
                for number, values in enumerate(zip(*cells.values(), strict=True), start=1)
            ]
    columns, unused, label_names = found[0]
    if any(other[0] != columns for other in found):
        raise DataError(f"the Parquet files in {place} differ in their columns; set dataset.file to one of them")
    table = Table(place, "row", columns, unused, rows, label_names)
    if "image" in columns:
        if not all(row.path for row in rows) or len({row.path for row in rows}) < len(rows):
            table.rows = [row._replace(path=name) for row, name in zip(rows, names, strict=True)]
        paths = [row.path for row in table.rows]
        table.contents = lambda: _contents(files, columns["image"], paths)
    return table


def _find_columns(config: ManifestConfig, file: Path, schema: Any) -> dict[str, str]:
    columns = find_columns(config, file, schema.names, needed=())
    if PATH not in columns and "image" not in columns:
        raise DataError(
            f"{file} has neither a column {config.columns.image!r} with images nor a column {config.columns.path!r} "
            f"with paths; its columns are {', '.join(map(repr, schema.names))}. Name the right one with "
            "dataset.columns.image=NAME or dataset.columns.path=NAME"
        )
    find_columns(config, file, schema.names, needed=(LABEL,))
    if "image" in columns:
        import pyarrow as pa

        kind = schema.field(columns["image"]).type
        inner = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {"bytes": kind}
        content = inner.get("bytes")
        if content is None or not (pa.types.is_binary(content) or pa.types.is_large_binary(content)):
            raise DataError(
                f"column {columns['image']!r} of {file} is {kind}, expected the bytes of image files, or `bytes` and "
                "`path` as the Hugging Face Hub stores them; name the right one with dataset.columns.image=NAME"
            )
    return columns


def _split_of(file: Path) -> str:
    found = SHARD.match(file.name)
    if found is None or found[1].lower() not in SPLIT_NAMES:
        raise DataError(
            f"the name of {file} does not begin with a split, as in train-00000-of-00001.parquet; rename or move it, "
            "or set dataset.file to one file"
        )
    return found[1]


def _cells(opened: ParquetFile, file: Path, name: str, inner: str | None = None) -> list[str]:
    """Return the cells of a column as strings, empty for null; of a column of structs, those of an inner field.

    Raises:
        DataError: the cells are neither strings nor integers, or are not in UTF-8.
    """
    import pyarrow as pa

    kind = opened.schema_arrow.field(name).type
    if inner is not None:
        if not pa.types.is_struct(kind) or kind.get_field_index(inner) < 0:
            return [""] * opened.metadata.num_rows
        column = opened.read([f"{name}.{inner}"]).column(name).combine_chunks().field(0)
    else:
        column = opened.read([name]).column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        values = column.to_pylist()
        # Paths inside of images only name them, so they need not be readable.
        values = [
            value.decode(errors="replace" if inner else "strict") if isinstance(value, bytes) else value
            for value in values
        ]
    except UnicodeDecodeError as error:
        raise DataError(
            f"column {name!r} of {file} has the cell {error.object[:MAX_SHOWN]!r}, which is not UTF-8; write the "
            "column as strings"
        ) from error
    if pa.types.is_floating(column.type):  # pandas makes floats of integers when some are missing
        values = [int(value) if value is not None and value.is_integer() else value for value in values]
        values = [None if value != value else value for value in values]  # NaN is a missing value
    if any(isinstance(value, float | list | dict) for value in values):
        raise DataError(f"column {name!r} of {file} is {column.type}, expected strings or integers")
    return ["" if value is None else str(value).strip() for value in values]


def _names(schema: Any, columns: dict[str, str]) -> Sequence[str]:
    """Return the names of the labels that the hub's library writes into a file; empty if there are none."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[columns[LABEL]]["names"]
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    return ()


def _contents(files: Sequence[Path], name: str, paths: Sequence[str]) -> Iterator[ImageBytes]:
    """Yield the image of each row, a few rows of a file in memory at a time."""
    waiting = iter(paths)
    for file in files:
        with _opened(file) as opened:
            for batch in opened.iter_batches(BATCH_ROWS, columns=[name]):
                column = batch.column(0)
                cells = column.field("bytes") if hasattr(column, "field") else column
                yield from (ImageBytes(next(waiting), cell.as_py() or b"") for cell in cells)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[ParquetFile]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as opened:
            yield opened
    except (pa.ArrowException, OSError) as error:
        reason = first_line(error)
        raise DataError(f"{file} cannot be read as a Parquet file: {reason}; download or write it again") from error
