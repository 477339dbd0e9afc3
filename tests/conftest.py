"""What the tests share: commands as a user types them, stores of a test's own, one trained run that many look at."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from src.process.interrupt import raise_on_signals
from tests.servers import Postgres, postgres_server

ROOT = Path(__file__).resolve().parent.parent
Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Workplace:
    """A folder to work in, as a user would: commands write their stores here, the project is only read."""

    folder: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "HYDRA_", "COV"))}
        kept.pop("DATA_DIR", None)
        return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "120", "HOME": str(self.folder)} | changes

    def start(self, module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """`python -m module arguments`, left running."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python -m module arguments`, to its end."""
        process = self.start(module, *arguments, **environment)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def signals_are_ours() -> Iterator[None]:
    """Signals do in this process what they do in a command."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    raise_on_signals()
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def copy_of(workplace: Workplace, folder: Path) -> Workplace:
    """The same stores and files at another place, to do harm to."""
    copied = Workplace(Path(shutil.copytree(workplace.folder, folder)))
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for table, column in (("runs", "artifact_uri"), ("logged_models", "artifact_location")):
            moved = (str(workplace.folder), str(folder))
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", moved)
    return copied


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def signals_restored() -> Iterator[None]:
    """For commands that are called as functions: they set handlers of their own."""
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@dataclass(frozen=True)
class TrainedRun:
    """A run that was trained by the command, and what the command said."""

    workplace: Workplace
    done: subprocess.CompletedProcess[str]
    run_id: str


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """LeNot on the bundled digits for two epochs, tracked into a fresh store, with a secret on the command line."""
    workplace = Workplace(tmp_path_factory.mktemp("trained"))
    done = workplace.run(
        "src.train",
        "training.epochs=2",
        "dataset.source=sample",
        "tags.note=${oc.env:CONVLAB_TEST_NOTE}",
        "tags.api_token=tok-5150",
        CONVLAB_TEST_NOTE="swordfish-77",
    )
    assert done.returncode == 0, done.stderr
    run_id = next(path.name for path in (workplace.folder / "mlartifacts").iterdir() if path.name != "models")
    return TrainedRun(workplace, done, run_id)


@pytest.fixture(scope="session")
def postgres_programs() -> Iterator[Postgres]:
    """A PostgreSQL server of the tests' own, with its programs."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres(postgres_programs: Postgres) -> str:
    """The address of that server, without a database's name; its superuser is `ada`."""
    return postgres_programs.url


@pytest.fixture(scope="session")
def full_data() -> str:
    """The folder that DATA_DIR names, with the full MNIST in it."""
    folder = os.environ.get("DATA_DIR", "")
    if not (Path(folder) / "mnist").is_dir():
        pytest.skip("DATA_DIR does not name a folder with the full MNIST")
    return str(Path(folder).resolve())


@pytest.fixture(autouse=True, scope="module")
def networks_forgotten(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a module has cached for its own tests is not kept for the whole session: large networks fill the memory."""
    yield
    for value in vars(request.module).values():
        if clear := getattr(value, "cache_clear", None):
            clear()
