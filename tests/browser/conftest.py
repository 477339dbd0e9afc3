"""A store that real commands have filled, the UI over it as a printed command starts it, and a browser."""

import csv
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, StorageState, expect, sync_playwright

from src.links import run_page
from tests.conftest import ROOT, Workplace

SIZE = {"width": 1440, "height": 900}
PATIENCE = 30_000  # milliseconds: the machine may be busy with other things
SCREENSHOTS = os.environ.get("SCREENSHOTS")
# The documents show real results; a test is content with the digits that come with the requirements.
DATA = [] if SCREENSHOTS else ["dataset.source=sample"]
PLAIN = [*DATA, "training.epochs=6" if SCREENSHOTS else "training.epochs=3"]
SEARCH = [
    "-m",
    *DATA,
    "training.epochs=3",
    "hydra/sweeper=optuna",
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=2",
    "hydra.sweeper.n_trials=8",
    "hydra.sweeper.study_name=lenot-search",
    "model.conv.0.filters=int(interval(4,16))",
    "model.conv.1.kernel_size=int(interval(3,17))",  # some are larger than the map that they would look at
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
]
Shot = Callable[[Page, str], None]


@dataclass(frozen=True)
class Tracked:
    """Three plain runs, a sweep, and the first run's model as the champion of its data set.

    Attributes:
        said: what the first training printed last.
        registered: what the registration printed last.
    """

    workplace: Workplace
    said: str
    registered: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.workplace.uri)

    def runs(self, parent: str | None = None) -> list[Any]:
        """The runs that stand under this one, or under none; the oldest first."""
        found = self.client.search_runs(["1"], order_by=["attributes.start_time ASC"])
        return [run for run in found if run.data.tags.get("mlflow.parentRunId") == parent]

    @property
    def plain(self) -> list[Any]:
        return [run for run in self.runs() if "sweep" not in run.data.tags]

    @property
    def sweep(self) -> Any:
        (sweep,) = [run for run in self.runs() if "sweep" in run.data.tags]
        return sweep

    @property
    def trials(self) -> list[Any]:
        return self.runs(self.sweep.info.run_id)

    @property
    def best_trial(self) -> Any:
        file = self.workplace.folder / "mlartifacts" / self.sweep.info.run_id / "artifacts" / "trials.csv"
        rows = list(csv.DictReader(file.read_text().splitlines()))
        best = max((row for row in rows if row["state"] == "COMPLETE"), key=lambda row: float(row["value"]))
        return self.client.get_run(best["run_id"])


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    workplace = Workplace(tmp_path_factory.mktemp("tracked"))
    data = {"DATA_DIR": os.environ["DATA_DIR"]} if "DATA_DIR" in os.environ else {}

    def command(module: str, *arguments: str) -> str:
        done = workplace.run(module, *arguments, **data)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    said = command("src.train", *PLAIN, "model=lenot")
    command("src.train", *PLAIN, "model=lenet5")
    command("src.train", *PLAIN, "model=dense", "optimizer=adam")
    command("src.train", *SEARCH)
    registered = command("src.register", f"run_id={re.findall(r'[0-9a-f]{32}', said)[0]}", "alias=champion")
    return Tracked(workplace, said, registered)


@dataclass(frozen=True)
class Ui:
    """The UI that the printed command starts.

    Attributes:
        base: its address.
        runs: the address that it prints.
    """

    base: str
    runs: str

    def at(self, said: str) -> str:
        """The address of a page that a command has printed, with the port that is used here."""
        (page,) = re.findall(r"http://127\.0\.0\.1:5000(/\S+)", said)
        return f"{self.base}{page}"

    def page_of(self, run: Any) -> str:
        return f"{self.base}/{run_page(run.info.experiment_id, run.info.run_id)}"


@pytest.fixture(scope="module")
def ui(tracked: Tracked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The UI, from the command that the first training printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("ui") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*printed_command(tracked.said), f"PORT={port}", "--assume-old=setup"],  # nothing is installed by a test
            cwd=log.parent,
            env=tracked.workplace.environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(f"{address}/health", process, log)
        (runs,) = re.findall(rf"^{address}/\S+$", log.read_text(), re.MULTILINE)
        yield Ui(address, runs)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{address} did not come up: {log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no chromium; apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def open_page(browser: Browser, state: StorageState | None = None) -> Page:
    context = browser.new_context(viewport=SIZE, storage_state=state, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    return context.new_page()


@pytest.fixture(scope="module")
def settled(browser: Browser, ui: Ui) -> StorageState:
    """What a browser remembers after the first visit: what pops up is closed, and this is about training models."""
    page = open_page(browser)
    page.goto(ui.base)
    page.get_by_role("button", name="Close", exact=True).last.click()
    page.get_by_role("button", name="Model training").click()
    page.goto(f"{ui.base}/#/models")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    state = page.context.storage_state()
    page.context.close()
    return state


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Page]:
    """A page in a browser that has never visited the UI."""
    page = open_page(browser)
    yield page
    page.context.close()


@pytest.fixture
def page(browser: Browser, settled: StorageState) -> Iterator[Page]:
    page = open_page(browser, settled)
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """Takes a screenshot: into a temporary folder, or into the one that SCREENSHOTS names."""
    folder = (ROOT / SCREENSHOTS) if SCREENSHOTS else tmp_path_factory.mktemp("screenshots")

    def take(page: Page, name: str) -> None:
        page.mouse.move(SIZE["width"] - 1, SIZE["height"] - 1)  # nothing is hovered over
        file = folder / f"{name}.png"
        # The assistant's button would lie over the page.
        page.screenshot(path=file, style="[data-assistant-ui] { display: none !important }", animations="disabled")
        assert file.stat().st_size < 300_000

    return take


def printed_command(said: str) -> list[str]:
    """The `make ui` command that a command prints at its end."""
    (found,) = re.findall(r"`(make .*)`", said)
    return shlex.split(found)
