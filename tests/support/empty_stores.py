"""Empty MLflow databases, made once and then copied."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.places import sqlite_file
from src.tracking import store


@contextlib.contextmanager
def made_once(folder: Path) -> Iterator[None]:
    """Copy the first SQLite store that this process creates wherever it would create another one.

    MLflow's migrations take half a second for each. Commands in other processes still run all of them.

    Args:
        folder: keeps the copy.
    """
    make, template = store._make_tables, folder / "mlflow.db"

    def copy(address: str) -> None:
        database = sqlite_file(address)
        assert database is not None
        if template.exists():
            shutil.copyfile(template, database)
        else:
            make(address)
            shutil.copyfile(database, template)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "_make_tables", copy)
        yield
