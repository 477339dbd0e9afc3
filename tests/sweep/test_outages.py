"""Sweeps whose database goes away, or is held by another process, while they run."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from src.study import open_existing
from tests.support.servers import Postgres, end_sessions, execute, postgres_server
from tests.support.sweeps import SPACE, Study
from tests.support.workplace import Workplace
from tests.sweep.test_sweep import workers_of

Start = Callable[..., subprocess.Popen[str]]
EPOCHS = 30
SHORT_PATIENCE = """
import src.study.patience
src.study.patience.MAX_OUTAGE_SECONDS = 3
from src.train import main
main()
"""


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A server that may be stopped."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(own_server: Postgres, request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    name = f"test_{abs(hash(request.node.name))}"
    execute(f"{own_server.url}/postgres", f"create database {name}")
    return f"{own_server.url}/{name}"


@pytest.fixture
def start(workplace: Workplace) -> Iterator[Start]:
    """Starts a sweep, or a program with a sweep's arguments; none of them outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, program: Sequence[str] = ("-m", "src.train")) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=workplace.folder,
            env=workplace.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def command(database: str, n_trials: int, epochs: int = EPOCHS) -> list[str]:
    settings = [f"training.epochs={epochs}", f"hydra.sweeper.n_trials={n_trials}", "tracking.save_model=false"]
    return ["-m", "dataset=synthetic", "model=dense", *settings, *SPACE, f"hydra.sweeper.storage='{database}'"]


def wait_for_trials(database: str, *processes: subprocess.Popen[str]) -> None:
    """Return when as many trials as there are processes have reported an epoch.

    If that does not happen, the test fails with what the processes printed.
    """
    deadline = time.monotonic() + 240
    problem: object = "no trial"
    while all(process.poll() is None for process in processes) and time.monotonic() < deadline:
        try:
            trials = Study(Path(), database).study.trials
            if sum(bool(trial.intermediate_values) for trial in trials) >= len(processes):
                return
            problem = trials
        except Exception as error:  # the study is just being made
            problem = error
        time.sleep(0.2)
    for process in processes:
        process.kill()
    pytest.fail(f"{problem!r}: {[process.communicate() for process in processes]}")


def outputs(processes: list[subprocess.Popen[str]], seconds: int = 300) -> list[str]:
    """What the processes printed, all of which succeed."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=seconds)
        assert process.returncode == 0, out + err
        assert err == ""
        found.append(out)
    return found


@pytest.mark.fault
def test_two_sweeps_wait_for_a_database_that_is_stopped_and_run_each_trial_once(
    workplace: Workplace, start: Start, own_server: Postgres, database: str
) -> None:
    processes = [start(*command(database, 6)) for _ in range(2)]
    wait_for_trials(database, *processes)
    own_server.process.stop()
    time.sleep(8)
    own_server.process.start()
    for out in outputs(processes):
        (gone,) = [line for line in out.splitlines() if line.startswith(f"{database} has not answered since")]
        assert "refused" in gone
        assert out.count(f"{database} answers again") == 1
        assert "6 trials: 6 complete" in out
    Study(workplace.folder, database).assert_each_ran_once(6, EPOCHS)


@pytest.mark.slow  # tests/study/test_outages.py gives up waiting
@pytest.mark.fault
def test_a_database_that_stays_away_ends_a_sweep_with_its_own_words_and_the_command_that_resumes_it(
    workplace: Workplace, start: Start, own_server: Postgres, database: str
) -> None:
    arguments = command(database, 2)
    process = start(*arguments, program=("-c", SHORT_PATIENCE))
    wait_for_trials(database, process)
    own_server.process.stop()
    try:
        out, err = process.communicate(timeout=120)
    finally:
        own_server.process.start()
    assert process.returncode == 1
    assert err.startswith(f"error: {database} did not answer for 3 seconds: ")
    assert "Connection refused" in err
    assert err.count("\n") == 1
    assert "once that works again, resume with: python -m src.train -m dataset=synthetic" in out
    outputs([start(*arguments)])
    Study(workplace.folder, database).assert_whole(2)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["restarts", "sessions", "frozen"])
def test_two_sweeps_run_each_trial_once_in_a_minute_of_faults(
    workplace: Workplace, start: Start, own_server: Postgres, database: str, fault: str
) -> None:
    n_trials, epochs = 24, 80
    processes = [start(*command(database, n_trials, epochs)) for _ in range(2)]
    wait_for_trials(database, *processes)
    end = time.monotonic() + 60
    faults = 0
    while time.monotonic() < end and all(process.poll() is None for process in processes):
        faults += 1
        if fault == "sessions":
            end_sessions(database, "order by random() limit 1")
            time.sleep(1)
        elif fault == "frozen":
            own_server.process.freeze(15)
            time.sleep(5)
        else:
            own_server.process.stop()
            time.sleep(2 if faults % 2 else 15)
            own_server.process.start()
            time.sleep(5)
    out = outputs(processes, 600)
    print(faults, "faults", [text.count("has not answered since") for text in out])
    Study(workplace.folder, database).assert_each_ran_once(n_trials, epochs)


# --- locks that another process holds ------------------------------------------------------------------------------


def stopped(process: subprocess.Popen[str], *signals: int) -> tuple[str, str]:
    """What the process printed after it received the signals, and ended."""
    assert process.stdout is not None
    out = ""
    for index, signum in enumerate(signals):
        if index:
            while not (line := process.stdout.readline()).startswith("stopping:"):
                out += line
        process.send_signal(signum)
    rest, err = process.communicate(timeout=120)
    return out + rest, err


@pytest.mark.fault
@pytest.mark.parametrize("on_server", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_second_signal_ends_a_sweep_though_another_process_holds_the_studys_lock(
    workplace: Workplace, start: Start, on_server: bool, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("database") if on_server else None
    study = Study(workplace.folder, database)
    arguments = command(study.storage, 1, 150)
    process = start(*arguments)
    wait_for_trials(study.storage, process)
    workers = workers_of(process)
    with (
        closing(open_existing(study.storage)) as storage,
        storage.locks.holding(f"study {study.study.study_name}"),
    ):
        out, err = stopped(process, signal.SIGINT, signal.SIGTERM)
    assert process.returncode == 130, err
    assert "the results could not be written: stopped by SIGINT" in out
    assert not psutil.wait_procs(workers, timeout=5)[1]
    outputs([start(*arguments)])
    study.assert_whole(1)


@pytest.mark.fault
def test_a_sweep_that_is_stopped_does_not_wait_for_a_process_that_writes_the_results(
    workplace: Workplace, start: Start
) -> None:
    study = Study(workplace.folder)
    process = start(*command(study.storage, 2, 400))
    wait_for_trials(study.storage, process)
    with (
        closing(open_existing(study.storage)) as storage,
        storage.locks.holding(f"results {study.study.study_name}"),
    ):
        out, err = stopped(process, signal.SIGINT)
    assert process.returncode == 130, err
    assert "resume with: python -m src.train -m dataset=synthetic" in out
    assert {trial.state.name for trial in study.study.trials} == {"FAIL"}
    assert {run.info.status for run in study.runs()} == {"KILLED"}
