"""A database that goes away: every trial runs once, and no lock is held by two processes or by none."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.samplers import RandomSampler

from src.study import Claims, NoTrial, Patience, Storage, TrialWatch, locks, open_storage, patience
from src.study.locks import PostgresLocks
from src.study.patience import LockLost
from tests.study.test_claims import assert_whole, states, work
from tests.support.servers import Postgres, end_sessions, execute, postgres_server
from tests.support.studies import claimed, claims_on, closing_storage, draw, exit_codes, opened, started

LOCK = "and pid in (select pid from pg_locks where locktype = 'advisory')"


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A server that may be stopped."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def storage(database: str) -> Iterator[Storage]:
    with opened(database) as found:
        yield found


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- locks ---------------------------------------------------------------------------------------------------------


@pytest.mark.services
def test_a_kept_lock_is_taken_again_when_its_session_was_ended(database: str, storage: Storage):
    with closing(storage.locks.keep("owner a")):
        for _ in range(3):
            end_sessions(database, LOCK)
            assert storage.locks.abandoned(["owner a"]) == set()
            eventually(lambda: not storage.locks.is_free("owner a"))
    assert storage.locks.abandoned(["owner a"]) == {"owner a"}


@pytest.mark.services
def test_a_kept_lock_is_taken_again_when_the_server_was_restarted(own_server: Postgres):
    address = f"{own_server.url}/postgres".replace("postgresql:", "postgresql+psycopg:")
    kept = PostgresLocks(address)
    with closing(kept.keep("owner a")):
        own_server.process.stop()
        time.sleep(1)
        own_server.process.start()
        assert kept.abandoned(["owner a"]) == set()


@pytest.mark.services
def test_a_kept_lock_that_another_process_takes_meanwhile_is_waited_for(database: str, storage: Storage):
    with closing(storage.locks.keep("owner a")):
        key = {"key": locks._key("owner a")}
        with storage.optuna.engine.connect() as other:
            other.execute(sqlalchemy.text("select pg_backend_pid()"))
            execute(
                database,
                f"select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' "
                f"and objid = {key['key'] % 2**32}",
            )
            other.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), key)
            time.sleep(3 * locks.KEEP_SECONDS)
            other.execute(sqlalchemy.text("select pg_advisory_unlock(:key)"), key)
        eventually(lambda: not storage.locks.is_free("owner a"))


@pytest.mark.services
def test_nothing_is_written_under_a_lock_that_was_lost(database: str, storage: Storage):
    claims = claims_on(storage, "lost", n_trials=2)
    with storage.exclusive("study lost"):
        end_sessions(database, LOCK)
        with pytest.raises(LockLost):
            claims.study.enqueue_trial({"x": 0.5})
    assert claims.trials() == []
    assert storage.locks.is_free("study lost")


@pytest.mark.services
def test_an_operation_whose_lock_was_lost_is_repeated_from_its_beginning(database: str, storage: Storage):
    claims = claims_on(storage, n_trials=1)
    attempts = count()

    def end_the_first(trial: optuna.Trial) -> Any:
        if next(attempts) == 0:
            end_sessions(database, LOCK)
        return draw(trial)

    with claims.alive("me"):
        found = claims.claim("me", end_the_first)
        assert not isinstance(found, NoTrial)
        assert claims.complete(found[0], "me", 0.5, {})
    assert next(attempts) == 2
    assert states(claims) == "C"


@pytest.mark.services
def test_waiting_for_a_lock_ends_when_the_process_must_end(url: str):
    class MustEndError(Exception):
        pass

    def must_end(waited: float) -> None:
        raise MustEndError

    waiting = Patience(between=must_end)
    with opened(url) as holder, closing_storage(open_storage(url, "sqlite:///mlflow.db", waiting)) as storage:
        for name in ("study a", "owner a"):
            with holder.locks.holding(name):
                with pytest.raises(MustEndError), storage.exclusive(name):
                    pass
                with pytest.raises(MustEndError):
                    storage.locks.keep(name)


# --- answers that are lost -----------------------------------------------------------------------------------------


class Loss:
    """Ends the session of one commit: before it arrives, or after it, so that only the answer is lost."""

    def __init__(self, database: str, storage: Storage, moment: int, arrives: bool, patch: pytest.MonkeyPatch) -> None:
        self.database, self.moment, self.arrives = database, moment, arrives
        self.commits = count(1)
        self.has_happened = False
        assert isinstance(storage.locks, PostgresLocks)
        for engine in (storage.optuna.engine, storage.locks._engine):
            patch.setattr(engine.dialect, "do_commit", self.commit)

    def commit(self, connection: Any) -> None:
        if threading.current_thread() is not threading.main_thread() or next(self.commits) != self.moment:
            connection.commit()
            return
        self.has_happened = True
        if self.arrives:
            connection.commit()
        end_sessions(self.database, f"and pid = {connection.driver_connection.info.backend_pid}")
        connection.cursor().execute("select 1")  # raises: the session has ended
        raise AssertionError


def live(claims: Claims) -> None:
    """Two trials, of which the second is the first one's retry."""
    with claims.alive("me"):
        claims.interrupt(claimed(claims), "me", "Ctrl-C")
        trial = claimed(claims)
        watch = TrialWatch(trial, "val_accuracy", 2, threading.Event())
        for epoch in (1, 2):
            watch(epoch, {"val_accuracy": epoch / 10})
        claims.patiently(watch.deliver)
        assert claims.complete(trial, "me", 0.5, {"epochs": 2})


@pytest.mark.fault
@pytest.mark.parametrize("arrives", [False, True])
def test_a_session_that_ends_at_any_commit_changes_nothing(
    database: str, storage: Storage, arrives: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(random, "random", lambda: 0.0)  # Optuna's pauses
    for moment in count(1):
        claims = claims_on(storage, n_trials=1, max_retries=1)
        with monkeypatch.context() as patch:
            loss = Loss(database, storage, moment, arrives, patch)
            live(claims)
        assert states(claims) == "fC", moment
        assert claims.trials()[1].intermediate_values == {1: 0.1, 2: 0.2}
        assert claims.trials()[1].user_attrs["retry_of"] == 0
        if not loss.has_happened:
            break
    assert moment > 10


# --- processes -----------------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_processes_run_each_trial_once_while_sessions_end_and_the_server_restarts(own_server: Postgres, tmp_path: Path):
    (ran := tmp_path / "ran").mkdir()
    execute(f"{own_server.url}/postgres", "create database shared")
    url, n_trials, n_processes = f"{own_server.url}/shared", 60, 3
    with opened(url) as storage:
        claims_on(storage, "shared", n_trials=n_trials)
    with started(work, *[(url, n_trials, ran)] * n_processes) as processes:
        eventually(lambda: len(list(ran.iterdir())) > 3)
        for seconds in (0, 3):
            for _ in range(15):
                end_sessions(url, "order by random() limit 1")
                time.sleep(0.2)
            own_server.process.stop()
            time.sleep(seconds)
            own_server.process.start()
        assert exit_codes(processes) == [0] * n_processes
    with opened(url) as storage:
        claims = claims_on(storage, "shared", n_trials=n_trials)
        assert_whole(claims, n_trials)
        assert states(claims) == "C" * n_trials
    assert sorted(int(path.name) for path in ran.iterdir()) == list(range(n_trials))


@pytest.mark.services
def test_an_outage_that_does_not_end_is_given_up_with_the_words_of_the_server(own_server: Postgres):
    execute(f"{own_server.url}/postgres", "create database away")
    waiting = Patience("db", seconds=0.5)
    with closing_storage(open_storage(f"{own_server.url}/away", "sqlite:///mlflow.db", waiting)) as storage:
        claims = claims_on(storage, n_trials=1)
        own_server.process.stop()
        try:
            with pytest.raises(ValueError, match=r"^db did not answer for 0\.5 seconds: .*Connection refused"):
                claims.claim("me", draw)
        finally:
            own_server.process.start()


def test_a_locked_file_is_waited_for(tmp_path: Path):
    with opened(f"sqlite:///{tmp_path / 'optuna.db'}") as storage:
        claims = claims_on(storage, n_trials=1)
        locked = threading.Event()

        def hold() -> None:
            with storage.optuna.engine.connect() as other:
                other.exec_driver_sql("begin exclusive")
                locked.set()
                time.sleep(1)
                other.rollback()

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait()
        assert claims.read(lambda study: len(study.trials)) == 0
        claimed(claims)
        thread.join()


def test_a_sampler_that_has_seen_its_whole_space_does_not_end_the_worker(memory: Storage):
    claims = claims_on(memory, n_trials=1)
    with claims.alive("me"):
        trial = claimed(claims)
        sampler = RandomSampler()
        sampler.after_trial = lambda study, *_: study.stop()  # type: ignore[method-assign]  # as BruteForceSampler does
        claims.study.sampler = sampler
        assert claims.complete(trial, "me", 0.5, {})
    assert claims.is_done()
