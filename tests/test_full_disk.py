"""Disks that are too small or become full: one sentence, a true status, no lost weights."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.disks import mounted_disk
from tests.support.servers import plain_server
from tests.support.workplace import Workplace

pytestmark = pytest.mark.fault
SMALL = ("dataset=synthetic", "dataset.limit=100", "training.epochs=1", "model=dense")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    with mounted_disk(tmp_path / "disk", megabytes=12) as folder:
        yield folder


def fill(folder: Path, left: int = 0) -> None:
    """Leaves this many bytes free."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / "filling").write_bytes(os.urandom(free - left))


FILLED_AT = """
import sys
from pathlib import Path
from tests.test_full_disk import fill
from src import keeping, train, tracking
name, left = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
owner = tracking.Run if hasattr(tracking.Run, name) else keeping
original = getattr(owner, name)
def filled(*arguments, **named):
    fill(Path.cwd(), left) if not Path("filling").exists() else None
    return original(*arguments, **named)
setattr(owner, name, filled)
train.main()
"""


@pytest.mark.parametrize(
    ("moment", "left", "is_in_run"),
    [
        ("log_epoch", 0, False),
        pytest.param("save_in_run", 0, False, marks=pytest.mark.slow),
        ("save_in_run", 700_000, True),
        pytest.param("log_model", 600_000, True, marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_becomes_full_leaves_a_failed_run_and_the_weights(
    moment: str, left: int, is_in_run: bool, disk: Path, tmp_path: Path
):
    there = Workplace(disk)
    done = subprocess.run(
        [sys.executable, "-c", FILLED_AT, moment, str(left), *SMALL],
        cwd=disk, env=there.environment(TMPDIR=str(tmp_path)), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    error, kept = done.stderr.splitlines()
    assert not (disk / ".undelivered").exists()
    assert error.startswith("error: ")
    assert str(disk) in error
    assert "free some" in error
    client = MlflowClient(there.uri)
    (experiment,) = [found for found in client.search_experiments() if found.name == "convlab"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    models = client.search_logged_models([experiment.experiment_id])
    assert [str(model.status) for model in models] in ([], ["FAILED"])
    assert not [path for path in disk.rglob("*") if ".part" in path.name or path.name.startswith("m-")]
    (name,) = re.findall(r"training\.initial_weights=(\S+?)(?:,|$)", kept)
    assert (name == run.info.run_id) == is_in_run
    (disk / "filling").unlink()
    continued = there.run("src.train", *SMALL, f"training.initial_weights={name}", "tracking.detail=light")
    assert continued.returncode == 0, continued.stderr


def test_a_disk_without_room_for_the_model_is_refused_before_the_first_epoch(disk: Path):
    there = Workplace(disk)
    fill(disk, 4 * 2**20)
    done = there.run("src.train", *SMALL)
    assert done.returncode == 1
    assert done.stderr.startswith("error: saving dense needs ")
    assert done.stderr.count("\n") == 1
    assert "epoch" not in done.stdout


def test_a_full_folder_for_temporary_files_does_not_matter_to_a_local_store(disk: Path, workplace: Workplace):
    fill(disk, 200_000)
    changes = ("augmentation=rand_augment", "augmentation.mixup=0.2")  # TensorFlow generates modules for these
    done = workplace.run("src.train", *SMALL, *changes, TMPDIR=str(disk), PYTHONDONTWRITEBYTECODE="")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in disk.iterdir()] == ["filling"]


KILLED_SERVER = """
import os, signal, sys
from src import train
from src.reports.run import Recorder
from src.tracking import outage
outage.WAIT_SECONDS = 1
pid = int(sys.argv.pop(1))
original = Recorder.record_figures
def killing(*arguments):
    os.killpg(pid, signal.SIGKILL)
    return original(*arguments)
Recorder.record_figures = killing
train.main()
"""


def test_a_server_that_dies_after_training_leaves_the_weights_in_the_working_folder(
    workplace: Workplace, tmp_path: Path
):
    (tmp_path / "server").mkdir()
    with plain_server(tmp_path / "server") as server:
        done = subprocess.run(
            [sys.executable, "-c", KILLED_SERVER, str(server.process.pid), *SMALL, f"tracking.uri={server.uri}"],
            cwd=workplace.folder, env=workplace.environment(), capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    error, status, kept, command = done.stderr.splitlines()
    assert error.startswith(f"error: the tracking store {server.uri} has not answered since ")
    assert status.endswith("could not be marked FAILED: it still says RUNNING")
    (file,) = (workplace.folder / ".weights").iterdir()
    assert kept.endswith(f"training.initial_weights={file}")
    assert "deliver it with: python -m src.doctor sync=" in command
