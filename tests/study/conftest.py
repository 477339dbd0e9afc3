"""Studies of a test's own: in memory for one process, in a file or in PostgreSQL for several."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from src.study import Patience, Storage
from src.study.locks import FileLocks
from tests.support.servers import execute
from tests.support.studies import _names, closing_storage

# --- studies -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A storage of this process alone; each of `claims_on` makes a study of its own there."""
    storage = RDBStorage("sqlite://")
    with closing_storage(
        Storage(storage, FileLocks(tmp_path_factory.mktemp("memory") / "locks"), Patience())
    ) as opened:
        yield opened


# --- processes -----------------------------------------------------------------------------------------------------


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    name = f"test_{next(_names)}"
    execute(f"{postgres}/postgres", f"create database {name}")
    yield f"{postgres}/{name}"
    execute(f"{postgres}/postgres", f"drop database {name} with (force)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a storage that several processes can use; nothing is there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'optuna.db'}"
    return str(request.getfixturevalue("database"))
