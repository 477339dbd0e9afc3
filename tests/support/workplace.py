"""Commands as a user types them, in a folder of their own."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PLACES = (  # columns of MLflow's tables that hold absolute paths
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]
RunHere = Callable[..., str]  # (workplace, module, *arguments), a fixture


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


def copy_of(workplace: Workplace, folder: Path) -> Workplace:
    """The same stores and files at another place, to do harm to."""
    copied = Workplace(Path(shutil.copytree(workplace.folder, folder)))
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for table, column in PLACES:
            moved = (str(workplace.folder), str(folder))
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", moved)
    return copied


@dataclass(frozen=True)
class TrainedRun:
    """A run that was trained by the command, and what the command said."""

    workplace: Workplace
    done: subprocess.CompletedProcess[str]
    run_id: str
