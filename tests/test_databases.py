"""Checks of databases by their addresses, and the creation of SQLite files."""

import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy

from src.databases import check_owner, check_port, ensure_tables, make_writable, tables
from src.errors import StoreError
from src.places import sqlite_file

SETTING = "tracking.uri"


@contextmanager
def closing_engine(address: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine(address)
    yield engine
    engine.dispose()


def make_tables(path: Path, *names: str) -> str:
    """The address of a SQLite file with these tables."""
    with closing(sqlite3.connect(path)) as database, database:
        for name in names:
            database.execute(f"create table {name} (id integer)")
    return f"sqlite:///{path}"


# --- make_writable -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", [".", "new", "new/and/deep"])
def test_a_folder_is_created_with_its_parents_and_nothing_is_left_in_it(tmp_path: Path, below: str):
    make_writable(tmp_path / below, SETTING)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (tmp_path / below).is_dir()


@pytest.mark.parametrize(("below", "reason"), [("file", "File exists"), ("file/below", "Not a directory")])
def test_a_folder_that_cannot_be_created_is_named_with_the_reason_and_the_setting(
    tmp_path: Path, below: str, reason: str
):
    (tmp_path / "file").touch()
    sentence = f"cannot write into {tmp_path / below} ({reason}); set {SETTING} to a writable place"
    with pytest.raises(StoreError, match=re.escape(sentence)):
        make_writable(tmp_path / below, SETTING)


def test_a_folder_that_cannot_be_written_is_refused():
    folder = Path("/proc/self")  # a folder in which even root makes no file
    if not folder.is_dir():
        pytest.skip("there is no /proc here")
    with pytest.raises(StoreError, match=rf"cannot write into {folder} \(.+\); set {SETTING} to a writable place"):
        make_writable(folder, SETTING)


# --- check_port ----------------------------------------------------------------------------------------------------


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """A socket that has a port of 127.0.0.1; nobody else can listen there, and nobody does before `listen`."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "mysql", "mssql"])
def test_an_address_where_a_server_listens_is_accepted(port: socket.socket, scheme: str):
    port.listen()
    check_port(f"{scheme}://ada:secret@127.0.0.1:{port.getsockname()[1]}/x", SETTING)


def test_an_address_where_no_server_listens_is_refused_with_the_remedy(port: socket.socket):
    uri = f"postgresql://127.0.0.1:{port.getsockname()[1]}/x"
    sentence = rf"the database {uri} does not answer \(.*refused\); start it, or correct tracking\.uri"
    with pytest.raises(StoreError, match=sentence):
        check_port(uri, SETTING)


def test_a_host_that_has_no_address_is_refused():
    with pytest.raises(StoreError, match=r"the database postgresql://nowhere\.invalid/x does not answer \(.+\); start"):
        check_port("postgresql://nowhere.invalid/x", SETTING)


# --- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [(), ("runs",), ("runs", "experiments")])
def test_the_tables_of_a_file_are_named(tmp_path: Path, names: tuple[str, ...]):
    assert tables(make_tables(tmp_path / "a.db", *names), SETTING) == set(names)


def test_a_file_that_does_not_exist_has_no_tables(tmp_path: Path):
    assert tables(f"sqlite:///{tmp_path / 'a.db'}", SETTING) == set()


def test_a_file_that_is_not_a_database_is_refused_with_the_setting(tmp_path: Path):
    (tmp_path / "a.db").write_text("a text of some length " * 100)
    sentence = rf"{SETTING}=sqlite:///.*a\.db cannot be opened as a database: file is not a database$"
    with pytest.raises(StoreError, match=sentence):
        tables(f"sqlite:///{tmp_path / 'a.db'}", SETTING)


def test_a_file_in_a_folder_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(StoreError, match=r"cannot be opened as a database: unable to open database file$"):
        tables(f"sqlite:///{tmp_path / 'missing' / 'a.db'}", SETTING)


# --- check_owner ---------------------------------------------------------------------------------------------------

OWN = {"experiments", "runs"}


def test_a_database_that_another_program_locks_is_refused_with_the_remedy(tmp_path: Path):
    uri = f"sqlite:///{tmp_path / 'a.db'}?timeout=0.1"
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("create table a (x)")
        other.execute("begin exclusive")
        with pytest.raises(StoreError, match="database is locked; another program is writing it: try again"):
            tables(uri, SETTING)


@pytest.mark.parametrize("names", [(), ("experiments", "runs"), ("experiments", "runs", "tags")])
def test_an_empty_database_and_one_of_the_product_are_accepted(tmp_path: Path, names: tuple[str, ...]):
    check_owner(make_tables(tmp_path / "a.db", *names), SETTING, "MLflow", OWN)


@pytest.mark.parametrize(
    ("names", "some"),
    [
        (("studies",), "studies"),
        (("runs",), "runs"),
        (("trials", "studies", "alembic_version", "version_info"), "alembic_version, studies, trials"),
    ],
)
def test_the_database_of_another_program_is_refused_with_some_of_its_tables(
    tmp_path: Path, names: tuple[str, ...], some: str
):
    uri = make_tables(tmp_path / "a.db", *names)
    sentence = f"{SETTING}={uri} is the database of another program (it contains {some}); give MLflow its own database"
    with pytest.raises(StoreError, match=re.escape(sentence)):
        check_owner(uri, SETTING, "MLflow", OWN)


# --- ensure_tables ---------------------------------------------------------------------------------------------------


def made(file: Path) -> bool:
    """Make the tables of a product, `owner` and `things`, unless they exist; return whether they do."""

    def make(address: str) -> None:
        make_tables(sqlite_file(address) or file, "owner", "things")

    return ensure_tables(file, {"owner"}, lambda found: bool(found.execute("select 1 from things")), make)


def test_a_new_file_has_all_its_tables_and_nothing_is_left_next_to_it(tmp_path: Path):
    assert made(tmp_path / "new.db")
    assert tables(f"sqlite:///{tmp_path / 'new.db'}", SETTING) == {"owner", "things"}
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]


def test_only_the_file_that_is_being_made_is_written_without_waiting_for_the_disk(tmp_path: Path):
    seen = []

    def synchronous(address: str) -> int:
        with closing_engine(address) as engine, engine.connect() as connection:
            return int(connection.execute(sqlalchemy.text("pragma synchronous")).scalar_one())

    def make(address: str) -> None:
        seen.extend([synchronous(address), synchronous(f"sqlite:///{tmp_path / 'other.db'}")])
        make_tables(sqlite_file(address) or tmp_path, "owner", "things")

    ensure_tables(tmp_path / "new.db", {"owner"}, lambda found: True, make)
    off, full = 0, 2
    assert [*seen, synchronous(f"sqlite:///{tmp_path / 'new.db'}")] == [off, full, full]


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_journals_of_a_removed_file_are_removed_before_a_new_one_is_made(tmp_path: Path, ending: str):
    (tmp_path / f"new.db{ending}").write_bytes(b"of the file that was here")
    assert made(tmp_path / "new.db")
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]


def test_an_empty_file_that_no_process_fills_is_filled_and_not_replaced(tmp_path: Path):
    (tmp_path / "new.db").touch()
    os.utime(tmp_path / "new.db", (0, 0))
    before = (tmp_path / "new.db").stat().st_ino
    assert made(tmp_path / "new.db")
    assert (tmp_path / "new.db").stat().st_ino == before


def test_a_file_that_another_process_is_filling_is_waited_for(tmp_path: Path):
    make_tables(tmp_path / "new.db", "owner")
    before = (tmp_path / "new.db").stat().st_ino
    filling = threading.Timer(0.5, make_tables, (tmp_path / "new.db", "things", "more"))
    filling.start()
    assert made(tmp_path / "new.db")
    filling.join()
    assert (tmp_path / "new.db").stat().st_ino == before
    assert "more" in tables(f"sqlite:///{tmp_path / 'new.db'}", SETTING)


def test_a_file_that_appears_while_another_one_is_being_made_stays(tmp_path: Path):
    def make(address: str) -> None:
        make_tables(sqlite_file(address) or tmp_path, "owner", "things")
        make_tables(tmp_path / "new.db", "owner", "things", "theirs")

    assert ensure_tables(
        tmp_path / "new.db", {"owner"}, lambda found: bool(found.execute("select 1 from things")), make
    )
    assert "theirs" in tables(f"sqlite:///{tmp_path / 'new.db'}", SETTING)


def test_without_hard_links_a_file_is_made_by_copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*names: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert made(tmp_path / "new.db")


@pytest.mark.parametrize("name", ["other", "alembic_version"])
def test_a_file_that_was_left_without_its_tables_stays_as_it_is(tmp_path: Path, name: str):
    make_tables(tmp_path / "new.db", name)
    os.utime(tmp_path / "new.db", (0, 0))
    assert not made(tmp_path / "new.db")
    assert tables(f"sqlite:///{tmp_path / 'new.db'}", SETTING) == {name}


def test_a_file_that_is_not_a_database_of_the_product_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits"))
    make_tables(tmp_path / "other.db", "other")
    (tmp_path / "text.db").write_text("this is not a database, but a text of some length " * 40)
    assert not made(tmp_path / "other.db")
    assert not made(tmp_path / "text.db")
