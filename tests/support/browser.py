"""A store that real commands have filled, the UI over it, and a browser."""

import csv
import os
import re
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, StorageState

from src.links import run_page
from tests.support.stored import Stored

SIZE = {"width": 1440, "height": 900}
PATIENCE = 30_000  # milliseconds: the machine may be busy with other things
SCREENSHOTS = os.environ.get("SCREENSHOTS")
# The documents show real results; a test is content with some of the digits that come with the requirements.
DATA = [] if SCREENSHOTS else ["dataset.source=sample", "dataset.limit=1000"]
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
class Tracked(Stored):
    """Three plain runs, a sweep, and the first run's model as the champion of its data set.

    Attributes:
        said: what the first training printed last.
        registered: what the registration printed last.
    """

    said: str
    registered: str

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


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{address} did not come up: {log.read_text()}")


def open_page(browser: Browser, state: StorageState | None = None) -> Page:
    context = browser.new_context(viewport=SIZE, storage_state=state, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    return context.new_page()


def printed_command(said: str) -> list[str]:
    """The `make ui` command that a command prints at its end."""
    (found,) = re.findall(r"`(make .*)`", said)
    return shlex.split(found)
