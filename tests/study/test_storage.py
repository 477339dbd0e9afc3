"""Optuna's database: made where there is none, and what cannot be one is refused in a sentence."""

import os
import re
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
import sqlalchemy

from src.errors import StoreError
from src.redact import redact
from src.study import is_outage, open_existing, open_storage
from src.study.locks import FileLocks, PostgresLocks
from tests.support.servers import execute
from tests.support.studies import SPAWN, closing_storage, exit_codes, opened, started

MLFLOW = "sqlite:///mlflow.db"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which everything happens, so that a relative address leads there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_storage_is_made_where_there_is_none_with_its_folder(folder: Path):
    with opened("sqlite:///new/optuna.db") as storage:
        assert storage.optuna.get_all_studies() == []
        assert isinstance(storage.locks, FileLocks)
    assert (folder / "new" / "optuna.db").is_file()


@pytest.mark.parametrize("name", ["with space.db", "50%.db", "a+b.db", "ä:b.db", "q?.db", "hash#.db", "it's.db"])
def test_a_file_of_any_name_can_be_a_storage(folder: Path, name: str):
    for _ in range(2):
        with opened(f"sqlite:///{quote(name)}") as storage:
            assert storage.locks.is_free("study a")
    assert name in {path.name for path in folder.iterdir()}


def test_a_folder_of_any_name_can_hold_a_storage(folder: Path, monkeypatch: pytest.MonkeyPatch):
    odd = folder / "work%20copy really? {x} #1"
    odd.mkdir()
    monkeypatch.chdir(odd)
    for url in ("sqlite:///optuna.db", f"sqlite:///{odd}/typed.db"):
        with opened(url) as storage:
            assert storage.optuna.get_all_studies() == []
    assert {"optuna.db", "typed.db"} <= {path.name for path in odd.iterdir()}
    assert [path.name for path in folder.iterdir()] == [odd.name]


def test_the_database_has_the_same_locks_through_a_link(folder: Path):
    (folder / "here").mkdir()
    (folder / "here" / "link.db").symlink_to(folder / "optuna.db")
    with (
        opened("sqlite:///optuna.db") as storage,
        opened("sqlite:///here/link.db") as other,
        storage.locks.holding("study a"),
    ):
        assert not other.locks.is_free("study a")


def test_what_one_process_writes_is_there_when_the_storage_is_opened_again(url: str):
    with opened(url) as storage:
        optuna.create_study(study_name="first", storage=storage.optuna)
    with opened(url) as storage:
        assert [study.study_name for study in storage.optuna.get_all_studies()] == ["first"]


@pytest.mark.parametrize(
    "name",
    ["optuna.db", "a b.db"],
)
def test_a_storage_that_exists_is_opened(name: str):
    url = f"sqlite:///{quote(name)}"
    with opened(url) as storage:
        optuna.create_study(study_name="first", storage=storage.optuna)
    with closing_storage(open_existing(url)) as storage:
        assert optuna.get_all_study_names(storage.optuna) == ["first"]


def test_a_storage_that_does_not_exist_is_not_made_by_who_only_looks(folder: Path):
    with pytest.raises(
        StoreError, match=r"there is no storage sqlite:///optuna\.db; name the one of the sweep: --storage"
    ):
        open_existing("sqlite:///optuna.db")
    assert list(folder.iterdir()) == []


@pytest.mark.services
def test_a_storage_on_postgresql_has_its_locks_there(database: str):
    with opened(database) as storage:
        assert isinstance(storage.locks, PostgresLocks)
        with storage.locks.holding("study a"), opened(database) as other:
            assert not other.locks.is_free("study a")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("optuna.db", r"storage=optuna\.db is not the address of a database; use sqlite:///optuna\.db"),
        ("", r"storage= is not the address of a database"),
        (
            "mysql://ada@db/x",
            r"a sweep needs locks that mysql does not have; use sqlite:///optuna\.db, or postgresql",
        ),
        ("redis://db", r"a sweep needs locks that redis does not have"),
        (
            "sqlite://",
            r"storage=sqlite:// is a database in memory, which ends with the process; name a file: sqlite:///optuna\.db",
        ),
        ("sqlite:///:memory:", r"storage=sqlite:///.* is a database in memory, which ends with the process"),
        ("sqlite:///.", r"storage=sqlite:///\. cannot be opened as a database: unable to open database file"),
        ("sqlite+none:///optuna.db", r"hydra\.sweeper\.storage="),
        ("sqlite+aiosqlite:///optuna.db", r"hydra\.sweeper\.storage="),
        ("postgresql://127.0.0.1:port/x", r"hydra\.sweeper\.storage="),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(address: str, sentence: str):
    with pytest.raises(StoreError, match=sentence):
        open_storage(address, MLFLOW)


SAME = "is MLflow's database; Optuna needs one of its own, such as sqlite:///optuna.db"


@pytest.mark.parametrize(
    ("address", "tracking_uri"),
    [
        (MLFLOW, MLFLOW),
        ("sqlite:///./mlflow.db", MLFLOW),
        ("sqlite+pysqlite:///mlflow.db", MLFLOW),
        ("sqlite:///{folder}/mlflow.db", MLFLOW),
        (MLFLOW, "sqlite:///{folder}//mlflow.db"),
        ("postgresql://ada@db/x", "postgresql+psycopg://bob:secret@db:5432/x"),
        ("sqlite:///data/../mlflow.db", MLFLOW),
        ("sqlite:///link.db", MLFLOW),
    ],
)
def test_mlflows_database_is_refused_however_its_address_is_written(folder: Path, address: str, tracking_uri: str):
    (folder / "link.db").symlink_to(folder / "mlflow.db")
    with pytest.raises(StoreError, match=re.escape(SAME)):
        open_storage(address.format(folder=folder), tracking_uri.format(folder=folder))
    assert not (folder / "mlflow.db").exists()


def test_a_database_that_mlflow_has_made_is_refused_and_left_as_it_is(folder: Path):
    from mlflow import MlflowClient  # here, so that the processes below need not import it

    MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments(max_results=1)
    before = (folder / "mlflow.db").read_bytes()
    with pytest.raises(
        StoreError, match=r"is the database of another program \(it contains .*\); give Optuna its own database"
    ):
        open_storage(MLFLOW, "http://127.0.0.1:5000")
    assert (folder / "mlflow.db").read_bytes() == before


def test_a_file_that_is_not_a_database_is_refused_and_does_not_change(folder: Path):
    (folder / "optuna.db").write_text("this is not a database, but a text of some length " * 40)
    with pytest.raises(StoreError, match=r"optuna\.db cannot be opened as a database: file is not a database"):
        open_storage("sqlite:///optuna.db", MLFLOW)
    assert (folder / "optuna.db").read_text().startswith("this is not a database")


def test_a_removed_storage_does_not_come_back_from_its_write_ahead_file(folder: Path):
    with opened("sqlite:///optuna.db") as storage:
        optuna.create_study(study_name="old", storage=storage.optuna)
        (folder / "optuna.db").unlink()
        assert (folder / "optuna.db-wal").stat().st_size > 0
        with opened("sqlite:///optuna.db") as new:
            assert new.optuna.get_all_studies() == []


def test_an_empty_file_becomes_a_storage(folder: Path):
    (folder / "optuna.db").touch()
    os.utime(folder / "optuna.db", (0, 0))
    with opened("sqlite:///optuna.db") as storage:
        assert storage.optuna.get_all_studies() == []


def test_a_storage_of_another_optuna_is_refused(folder: Path):
    with opened("sqlite:///optuna.db"):
        pass
    with closing(sqlite3.connect(folder / "optuna.db")) as database, database:
        database.execute("update version_info set schema_version = 99, library_version = '99.0'")
        database.execute("update alembic_version set version_num = 'v99.a'")
    with pytest.raises(StoreError, match=r"storage=sqlite:///optuna\.db cannot be used: The runtime optuna version"):
        open_storage("sqlite:///optuna.db", MLFLOW)


def test_a_folder_that_cannot_be_written_is_refused(folder: Path):
    (folder / "file").write_text("in the way")
    sentence = r"cannot write into .*/file/below \(Not a directory\); set hydra\.sweeper\.storage to a writable place"
    with pytest.raises(StoreError, match=sentence):
        open_storage("sqlite:///file/below/optuna.db", MLFLOW)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 where nobody listens: it is bound, so that no other program gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_postgresql_that_does_not_answer_is_refused(closed_port: int):
    address = f"postgresql://ada@127.0.0.1:{closed_port}/sweeps"
    sentence = rf"the database .*127\.0\.0\.1:{closed_port}/sweeps does not answer .*correct hydra\.sweeper\.storage"
    with pytest.raises(StoreError, match=sentence):
        open_storage(address, MLFLOW)


def test_the_password_of_a_refused_address_is_hidden_when_the_sentence_is_printed(closed_port: int):
    with pytest.raises(StoreError) as raised:
        open_storage(f"postgresql://ada:hunter22@127.0.0.1:{closed_port}/sweeps", MLFLOW)
    assert "hunter22" not in redact(str(raised.value))
    assert f"***@127.0.0.1:{closed_port}/sweeps does not answer" in redact(str(raised.value))


@pytest.mark.services
@pytest.mark.parametrize(("name", "reason"), [("nothing", 'database "nothing" does not exist')])
def test_a_database_that_postgresql_does_not_have_is_refused(postgres: str, name: str, reason: str):
    with pytest.raises(StoreError, match=f"{name} cannot be opened as a database: .*{reason}"):
        open_storage(f"{postgres}/{name}", MLFLOW)


@pytest.mark.services
def test_a_postgresql_database_of_something_else_is_refused(database: str):
    execute(database, "create table runs (run_id text)")
    with pytest.raises(StoreError, match=r"is the database of another program \(it contains runs\)"):
        open_storage(database, MLFLOW)


@pytest.mark.services
def test_postgresql_as_mlflows_own_is_refused_without_being_asked(database: str):
    with pytest.raises(StoreError, match=re.escape(SAME)):
        open_storage(database, database.replace("postgresql:", "postgresql+psycopg:"))


def die_while_making(address: str) -> None:
    def after(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.strip().startswith("CREATE TABLE studies"):
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", after)
    open_storage(address, MLFLOW)


@pytest.mark.fault
def test_a_storage_whose_making_was_killed_is_made_by_the_next(url: str, request: pytest.FixtureRequest):
    with started(die_while_making, (url,)) as processes:
        assert exit_codes(processes) == [-signal.SIGKILL]
    with opened(url) as storage:
        assert storage.optuna.get_all_studies() == []


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (sqlalchemy.exc.OperationalError("select 1", None, Exception("server closed the connection")), True),
        (optuna.exceptions.StorageInternalError("no answer"), True),
        (ValueError("the value nan is not acceptable"), False),
        (KeyError("no such study"), False),
    ],
)
def test_an_outage_of_the_storage_is_distinguished_from_a_mistake(error: Exception, outage: bool):
    assert is_outage(error) is outage


def open_at_once(barrier: object, url: str, name: str) -> None:
    barrier.wait(60)  # type: ignore[attr-defined]
    with opened(url) as storage:
        optuna.create_study(study_name=name, storage=storage.optuna)


def test_processes_that_make_a_storage_at_once_make_one(url: str):
    barrier = SPAWN.Barrier(3)
    with started(open_at_once, *[(barrier, url, name) for name in "abc"]) as processes:
        assert exit_codes(processes) == [0, 0, 0]
    with opened(url) as storage:
        assert sorted(study.study_name for study in storage.optuna.get_all_studies()) == ["a", "b", "c"]
