"""Locks: one holder at a time, and free as soon as the holder is dead. Files here; PostgreSQL where it is installed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from src.study.locks import FileLocks, Locks, PostgresLocks
from tests.support.studies import SPAWN, exit_codes, started

ROUNDS = 25
UNUSUAL = ["", "..", "a/b", "/etc/passwd", "line\nbreak", "both \"kinds\" of 'quotes'", "Prüfung №7 🧪", "long " * 100]


def make_locks(address: str) -> Locks:
    if address.startswith("postgresql"):
        return PostgresLocks(address.replace("postgresql:", "postgresql+psycopg:"))
    return FileLocks(Path(address))


@pytest.fixture(params=["files", pytest.param("postgresql", marks=pytest.mark.services)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the locks are; the same ones for everybody who makes them with it."""
    return str(tmp_path / "locks" if request.param == "files" else request.getfixturevalue("database"))


@pytest.fixture
def locks(address: str) -> Locks:
    return make_locks(address)


def hold(address: str, name: str, ready: Connection) -> None:
    with make_locks(address).holding(name):
        ready.send("held")
        threading.Event().wait()


@contextmanager
def another_process_holding(address: str, name: str) -> Iterator[BaseProcess]:
    receiver, sender = SPAWN.Pipe(duplex=False)
    with receiver, sender, started(hold, (address, name, sender)) as (process,):
        assert receiver.recv() == "held"
        yield process


def test_a_lock_is_free_before_and_after_it_is_held(address: str, locks: Locks):
    with locks.holding("study a"):
        pass
    with make_locks(address).holding("study a"):
        pass  # and did not wait forever


def test_asking_whether_a_lock_is_free_does_not_hold_it(locks: Locks):
    assert locks.is_free("study a")
    with locks.holding("study a"):
        assert not locks.is_free("study a")


def test_a_lock_is_not_free_while_another_process_holds_it(address: str, locks: Locks):
    with another_process_holding(address, "owner a"):
        assert not locks.is_free("owner a")
        assert locks.is_free("owner b")


@pytest.mark.fault
def test_a_lock_can_be_held_after_its_holder_was_killed(address: str, locks: Locks):
    with another_process_holding(address, "study a") as process:
        process.kill()
        process.join()
        with locks.holding("study a"):
            assert not make_locks(address).is_free("study a")


@pytest.mark.fault
def test_a_file_lock_is_free_the_moment_its_holder_was_killed(tmp_path: Path):
    address = str(tmp_path / "locks")
    with another_process_holding(address, "owner a") as process:
        process.kill()
        process.join()
        assert make_locks(address).is_free("owner a")


def test_a_second_holder_waits_for_the_first(address: str, locks: Locks):
    order, asks = [], threading.Event()

    def second() -> None:
        asks.set()
        with make_locks(address).holding("study a"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locks.holding("study a"):
        thread.start()
        asks.wait()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_frees_the_lock(address: str, locks: Locks, error: type[BaseException]):
    with pytest.raises(error), locks.holding("study a"):
        raise error
    with make_locks(address).holding("study a"):
        pass  # and did not wait forever


def count_up(address: str, counter: Path) -> None:
    locks = make_locks(address)
    for _ in range(ROUNDS):
        with locks.holding("study a"):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_what_processes_do_under_a_lock_they_do_one_after_the_other(address: str, tmp_path: Path):
    (counter := tmp_path / "counter").write_text("0")
    with started(count_up, *[(address, counter)] * 3) as processes:
        assert exit_codes(processes) == [0, 0, 0]
    assert counter.read_text() == str(3 * ROUNDS)


@pytest.mark.parametrize("name", UNUSUAL)
def test_any_name_has_a_lock_of_its_own(locks: Locks, name: str):
    with locks.holding(f"study {name}"):
        assert not locks.is_free(f"study {name}")
        assert [other for other in UNUSUAL if not locks.is_free(f"study {other}")] == [name]
        assert locks.is_free(f"owner {name}")


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_files_of_all_names_lie_in_the_folder(tmp_path: Path, name: str):
    with FileLocks(tmp_path / "locks").holding(name):
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.parent == tmp_path / "locks" for path in tmp_path.rglob("*") if path.is_file())


def test_locks_in_different_folders_do_not_know_each_other(tmp_path: Path):
    with FileLocks(tmp_path / "a").holding("study"):
        assert FileLocks(tmp_path / "b").is_free("study")


@pytest.mark.services
def test_locks_of_different_databases_do_not_know_each_other(database: str, postgres: str):
    with make_locks(database).holding("study"):
        assert make_locks(f"{postgres}/postgres").is_free("study")
