"""A run's files are whole or not there, also when the disk is full."""

import subprocess
import sys
from pathlib import Path

import pytest

from src.compose import compose_config
from src.tracking import Run, open_store, start_run
from tests.conftest import Workplace

TOO_MUCH = 200_000  # bytes; files may have half of that


@pytest.fixture
def run(workplace: Workplace):
    config = compose_config(["dataset=synthetic", f"tracking.uri='{workplace.uri}'"])
    with start_run(open_store(config.tracking), config) as started:
        yield started


def artifacts(workplace: Workplace, run: Run) -> Path:
    return workplace.folder / "mlartifacts" / str(run.run_id) / "artifacts"


def test_a_file_stands_under_its_name_only_when_it_is_whole(workplace: Workplace, run: Run):
    folder = artifacts(workplace, run)

    def interrupted() -> None:
        assert run._artifacts is not None
        with run._artifacts.new_file("tables/a.csv") as file:
            file.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert not list((folder / "tables").iterdir())
    run.log_text("tables/a.csv", "whole")
    assert [path.name for path in (folder / "tables").iterdir()] == ["a.csv"]


def test_a_folder_replaces_the_one_of_its_name(workplace: Workplace, run: Run):
    for name in ("old", "new"):
        with run.new_folder("model") as folder:
            folder.mkdir()
            (folder / f"{name}.txt").write_text(name)
    assert [path.name for path in (artifacts(workplace, run) / "model").iterdir()] == ["new.txt"]


FULL_DISK = f"""
import resource, signal, sys
from pathlib import Path
from src import tracking
from src.errors import StoreError
from src.compose import compose_config
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
config = compose_config(["dataset=synthetic", "tracking.uri=" + sys.argv[1]])
def keep_folder():
    with run.new_folder("model") as folder:
        folder.mkdir()
        (folder / "small").write_bytes(b"x")
        (folder / "large").write_bytes(b"x" * {TOO_MUCH})
with tracking.start_run(tracking.open_store(config.tracking), config) as run:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({TOO_MUCH // 2}, resource.RLIM_INFINITY))
    for keep in (keep_folder, lambda: run.log_text("a.txt", "x" * {TOO_MUCH})):
        try:
            keep()
        except StoreError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(run.run_id)
"""


def test_what_does_not_fit_on_the_disk_leaves_nothing_half_written_under_its_name(workplace: Workplace):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, workplace.uri],
        cwd=workplace.folder,
        env=workplace.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    model, text, run_id = done.stdout.splitlines()
    assert "model could not be written: " in model
    assert "a.txt could not be written: " in text
    folder = workplace.folder / "mlartifacts" / run_id / "artifacts"
    assert sorted(path.name for path in folder.iterdir()) == ["config", "environment"]
