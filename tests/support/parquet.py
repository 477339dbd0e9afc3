"""Parquet files as the Hugging Face Hub stores them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet


def write_images(
    file: Path, folder: Path, paths: Sequence[str], labels: Sequence[object], names: Sequence[str] | None = None
) -> None:
    """A row for each file of the folder: its bytes and path in a column `image`, and its label."""
    images = [{"bytes": (folder / path).read_bytes(), "path": path} for path in paths]
    write_table(file, {"image": images, "label": labels}, names)


def write_table(file: Path, columns: dict[str, object], names: Sequence[str] | None = None) -> None:
    """A file of several row groups; `names` are those of the labels, in the metadata of the hub's library."""
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if names else None
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), file, row_group_size=7)
