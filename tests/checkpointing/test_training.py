"""The checkpoints of one training: when they are written, and a disk that cannot be written."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from src.checkpointing import Checkpoints, Written, write
from src.checkpointing.training import MAX_HELD
from src.writing import PART
from tests.support.checkpoints import ORIGIN, checkpoint, content_of, flip, found_in, names
from tests.support.disks import mounted_disk


def test_a_damaged_checkpoint_is_removed_when_the_training_continues_after_an_earlier_one(tmp_path: Path) -> None:
    write(tmp_path / "run", checkpoint(4, best=3), ORIGIN)
    write(tmp_path / "run", checkpoint(5, best=5), ORIGIN)
    flip(tmp_path / "run" / "best-00005.npy", 130)
    training = Checkpoints(tmp_path, "run", 0)
    training.resume_from(found_in(tmp_path / "run"))
    training.remove_unused()
    training.latest = checkpoint(6, best=5)  # epoch 5 had no checkpoint this time, and its best weights are needed
    assert training.write_latest()
    assert content_of(found_in(tmp_path / "run")) == content_of(training.latest)


def test_checkpoints_that_are_replaced_stay_until_the_training_has_its_run(tmp_path: Path) -> None:
    write(tmp_path / "run", checkpoint(4, best=3), ORIGIN)
    training = Checkpoints(tmp_path, "run", 0, is_replacing=True)
    training.resume_from(checkpoint(4, best=4))
    assert not training.is_written
    assert names(tmp_path / "run")
    training.remove_unused()
    assert not (tmp_path / "run").exists()


# --- a disk that cannot be written ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    with mounted_disk(tmp_path / "disk", megabytes=1) as folder:
        yield folder


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may become larger than 1 MB."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def write_too_much(root: Path, reason: str) -> None:
    reports: list[str] = []
    written: list[Written] = []
    training = Checkpoints(root, "run", 0, report=reports.append, on_write=written.append)
    for epoch, size in ((1, 6), (2, 200_000), (3, 200_000), (4, 6)):
        training.latest = checkpoint(epoch, size=size)
        assert training.write_latest()  # of epoch 2 and 3: the one before them is on the disk
        assert found_in(root / "run").epoch == (epoch if size == 6 else 1)
        assert not [name for name in names(root / "run") if name.startswith(PART)]
    assert [one.epoch for one in written] == [1, 4]
    (report,) = reports  # once
    folder = root / "run"
    assert report == (
        f"the checkpoint of epoch 2 could not be written to {folder} ({reason}); the training continues without it"
    )


@pytest.mark.fault
def test_without_space_the_training_continues_and_says_so_once(small_disk: Path) -> None:
    write_too_much(small_disk, "No space left on device")


def test_a_limit_of_file_sizes_does_not_end_the_training(tmp_path: Path, small_files: None) -> None:
    write_too_much(tmp_path, "File too large")


def test_a_file_in_place_of_the_folder_does_not_end_the_training(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    reports: list[str] = []
    training = Checkpoints(tmp_path, "run", 0, report=reports.append, latest=checkpoint(1))
    assert not training.write_latest()
    assert len(reports) == 1


@contextmanager
def no_new_files() -> Iterator[None]:
    """Let this process open no files, so that it cannot read a folder either."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_folder_that_cannot_be_read_does_not_end_the_training(tmp_path: Path) -> None:
    reports: list[str] = []
    training = Checkpoints(tmp_path, "run", 0, report=reports.append, latest=checkpoint(1))
    with no_new_files():
        assert not training.write_latest()
    assert reports == [
        f"the checkpoint of epoch 1 could not be written to {tmp_path}/run (Too many open files); the training "
        "continues without it"
    ]


# --- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "minutes", "is_on", "is_due"),
    [("run", 0, True, True), ("run", 60, True, False), ("run", None, False, False), (None, 0, False, False)],
)
def test_a_checkpoint_is_due_after_some_minutes(
    key: str | None, minutes: float | None, is_on: bool, is_due: bool, tmp_path: Path
) -> None:
    training = Checkpoints(tmp_path, key, minutes, latest=checkpoint(1))
    assert (training.is_on, training.is_due(2**20)) == (is_on, is_due)
    assert training.write_latest() == is_on  # when the process is asked to stop
    assert (tmp_path / "run").exists() == is_on


@dataclass
class Clock:
    """The monotonic clock of `src.checkpointing.training`, which a test sets."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    def write_slowly(*arguments: Any) -> int:
        clock.now += 2
        return write(*arguments)

    monkeypatch.setattr("src.checkpointing.training.time", clock)
    monkeypatch.setattr("src.checkpointing.training.write", write_slowly)
    return clock


def written_epochs(training: Checkpoints, clock: Clock, seconds: list[float], size: int) -> list[int]:
    """The epochs after which a state of this size is written: each epoch takes these seconds."""
    written: list[int] = []
    training.on_write = lambda checkpoint: written.append(checkpoint.epoch)
    for epoch, duration in enumerate(seconds, start=1):
        clock.now += duration
        training.end_epoch(size, partial(checkpoint, epoch))
    return written


@pytest.mark.parametrize(
    ("minutes", "seconds", "epochs"),
    [
        (60.0, [1, 30, 30, 30, 50], [1, 3, 5]),  # writing takes 2 s, so 40 s must have passed
        (60.0, [100, 100, 100], [1, 2, 3]),
        (0.25, [1, 10, 10, 10, 10], [1, 3, 5]),
        (0, [1, 1, 1], [1, 2, 3]),
        (None, [100, 100], []),
    ],
)
def test_a_state_that_is_too_large_to_be_held_is_written_after_each_epoch_unless_that_takes_much_of_the_time(
    minutes: float | None, seconds: list[float], epochs: list[int], clock: Clock, tmp_path: Path
) -> None:
    training = Checkpoints(tmp_path, "run", minutes)
    assert written_epochs(training, clock, seconds, MAX_HELD + 1) == epochs
    assert training.latest is None
    assert training.write_latest() == bool(epochs)
    assert training.written == max(epochs, default=0)


def test_the_last_state_before_a_stop_is_written_however_large_it_is(clock: Clock, tmp_path: Path) -> None:
    training = Checkpoints(tmp_path, "run", 60, is_stopping=lambda: clock.now > 1010)
    assert written_epochs(training, clock, [1, 1, 1, 10], MAX_HELD + 1) == [1, 4]


def test_a_state_that_is_held_is_written_when_the_minutes_have_passed_or_the_training_stops(
    clock: Clock, tmp_path: Path
) -> None:
    training = Checkpoints(tmp_path, "run", 1)
    assert written_epochs(training, clock, [10, 45, 10, 10], MAX_HELD) == [3]
    assert training.write_latest()
    assert training.written == 4


def test_a_state_is_not_written_twice(tmp_path: Path) -> None:
    written: list[Written] = []
    training = Checkpoints(tmp_path, "run", 0, on_write=written.append, latest=checkpoint(1))
    assert training.write_latest()
    assert training.write_latest()
    assert len(written) == 1


def test_the_folder_of_a_finished_training_is_removed_and_that_of_another_stays(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    one, other = (Checkpoints(root, key, 0, latest=checkpoint(1)) for key in ("one", "other"))
    one.write_latest()
    other.write_latest()
    one.delete()
    assert names(root) == ["other"]
    other.delete()
    assert not root.exists()
