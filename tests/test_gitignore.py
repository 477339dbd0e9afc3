"""Files that commands leave in a checkout are ignored by git."""

import subprocess
from pathlib import Path

import pytest

from tests.support.workplace import ROOT

STORES = ["mlflow.db", "mlflow.db-wal", "mlflow.db-journal", ".mlflow.db.lock", ".mlflow.db.new", "mlartifacts/1/model"]
STORES += [
    "optuna.db",
    "optuna.db-shm",
    ".optuna.db.lock",
    ".optuna.db.locks",
    ".optuna.db.locks/owner",
    ".debug/mlflow.db",
    ".undelivered/0123/points.jsonl",
]


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module", autouse=True)
def checkout() -> None:
    if git("rev-parse", "--show-toplevel").stdout.strip() != str(ROOT):
        pytest.skip("this copy of the project is not a checkout")


@pytest.mark.parametrize("folder", ["", "docs", "benchmarks/results", "conf/experiment", "somewhere/else"])
def test_stores_are_ignored_in_any_folder(folder: str) -> None:
    paths = [str(Path(folder, store)) for store in STORES]
    assert git("check-ignore", "--no-index", *paths).stdout.splitlines() == paths


def test_no_file_of_the_project_is_ignored() -> None:
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard").stdout == ""
