"""What the tests share: commands as a user types them, stores of a test's own, one trained run that many look at."""

import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.process.interrupt import raise_on_signals
from src.schema import REGISTRY
from tests.support.empty_stores import made_once
from tests.support.extensions import extensions_of_its_own
from tests.support.servers import Postgres, postgres_server
from tests.support.workplace import ROOT, RunHere, TrainedRun, Workplace

KINDS = ROOT / "tests/support/kinds"
LONG_FILES = (  # they run first, because the process that began one of them last would work alone in the end
    "sweep/test_sweep.py",
    "test_resume_kills.py",
    "sweep/engines/test_slurm_sweeps.py",
    "sweep/engines/test_ray.py",
    "pipelines/test_best_of_sweep.py",
    "browser/test_ui.py",
    "test_docs.py",
    "test_train.py",
    "space/test_planning.py",
    "test_outages.py",
    "test_services.py",
    "cli/test_command.py",
)

for _name in [name for name in os.environ if name.startswith(("SLURM", "SBATCH"))]:
    del os.environ[_name]
os.environ["SLURM_CONF"] = os.devnull  # no test reaches the cluster of the machine that runs it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by how long they take. Make uses `--no-loadscope-reorder`, which keeps this order."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exclude objects that live to the end from garbage collection, which Keras runs before each training."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def signals_are_ours() -> Iterator[None]:
    """Signals do in this process what they do in a command."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    raise_on_signals()
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


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


@pytest.fixture
def registry_restored() -> Iterator[None]:
    """Kinds that a test declares are forgotten after it."""
    before = {name: dict(group.kinds) for name, group in REGISTRY.items()}
    yield
    for name, kinds in before.items():
        REGISTRY[name].kinds.clear()
        REGISTRY[name].kinds.update(kinds)


@pytest.fixture
def more_kinds(monkeypatch: pytest.MonkeyPatch, registry_restored: None) -> Iterator[list[str]]:
    """The override with which the kinds of tests/support/kinds can be chosen, as if their files were in src/."""
    for name in ("src.models", "src.fitting"):
        package = importlib.import_module(name)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(KINDS)])
    importlib.invalidate_caches()
    yield [f"hydra.searchpath=[file://{KINDS}/conf]"]
    for name in [name for name, module in sys.modules.items() if str(KINDS) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]  # so that the next test declares the kind again


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signals_restored: None) -> RunHere:
    """Runs a command on the store of a workplace in this process, which saves its imports; returns what it printed."""

    def run(workplace: Workplace, module: str, *arguments: str) -> str:
        for name in ("DATA_DIR", "HYDRA_FULL_ERROR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.chdir(workplace.folder)
        # MLflow identifies a store by its address, so a relative one would lead to the store of an earlier test.
        monkeypatch.setattr(sys, "argv", [module, *arguments, f"tracking.uri='{workplace.uri}'"])
        # TensorFlow warns of functions that a process traces again and again, as the commands of many tests do.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        capsys.readouterr()
        importlib.import_module(module).main()
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


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


@pytest.fixture
def extensions_forgotten() -> Iterator[None]:
    """Forget the extensions that a test loads, and what they declared."""
    with extensions_of_its_own():
        yield


@pytest.fixture(autouse=True, scope="session")
def empty_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tables of MLflow's database are created once in this process, and copied for every other store."""
    with made_once(tmp_path_factory.mktemp("empty")):
        yield


@pytest.fixture(autouse=True)
def environment_restored() -> Iterator[None]:
    """A test leaves the environment as it was: MLflow writes the address of each opened store into a variable."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True, scope="module")
def networks_forgotten(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a module has cached for its own tests is not kept for the whole session: large networks fill the memory."""
    yield
    for value in vars(request.module).values():
        if clear := getattr(value, "cache_clear", None):
            clear()
