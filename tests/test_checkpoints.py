"""Files of checkpoints: complete or not there, and nothing that is damaged is read."""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src import checkpoints
from src.checkpoints import Array, Arrays, Checkpoint, Checkpoints, Written, newest, read, write
from src.errors import CheckpointError
from src.writing import PART
from tests.support.servers import missing
from tests.support.workplace import ROOT

ORIGIN = {"settings": {"optimizer.name": "adam", "training.monitor": None}, "data": "5e1f"}


def checkpoint(epoch: int, best: int = 1, size: int = 6) -> Checkpoint:
    generator = np.random.default_rng(epoch)
    values: list[Array] = [
        generator.normal(size=(size, 4)).astype(np.float32),
        np.array(epoch, np.int64),
        np.zeros((0, 3), np.uint32),
    ]
    state = {
        "history": {"loss": [1 / (3 + number) for number in range(epoch)], "a/b ü": [float("inf")] * epoch},
        "callbacks": [{"best": 0.1 + 0.2, "wait": 1, "best_weights": None, "is_on": True}],
    }
    arrays = {"variables": Arrays(epoch, values), "best": Arrays(best, [np.full((2, 2), best, np.float16)])}
    return Checkpoint(epoch, state, arrays)


def content_of(found: Checkpoint) -> Any:
    arrays = {
        name: (epoch, [(value.dtype, value.shape, value.tobytes()) for value in values])
        for name, (epoch, values) in found.arrays.items()
    }
    return found.epoch, found.state, arrays


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def found_in(folder: Path, warnings: list[str] | None = None) -> Checkpoint:
    found = newest(folder, ([] if warnings is None else warnings).append)
    assert found is not None
    return found[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoints of epochs 4 and 5, whose best epoch is 3, in a folder."""
    for epoch in (4, 5):
        write(tmp_path / "checkpoints", checkpoint(epoch, best=3), ORIGIN)
    return tmp_path / "checkpoints"


# --- what is written is read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run", "a/b/c", "with space", "ü%20[1]*"])
def test_a_checkpoint_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    written = checkpoint(5, best=3)
    size = write(tmp_path / name, written, ORIGIN)
    found = newest(tmp_path / name)
    assert found is not None
    assert content_of(found[0]) == content_of(written)
    assert found[1] == ORIGIN
    assert size == sum(path.stat().st_size for path in (tmp_path / name).iterdir())


def test_a_folder_that_does_not_exist_or_is_empty_has_no_checkpoint(tmp_path: Path) -> None:
    assert newest(tmp_path) is newest(tmp_path / "missing") is None


def test_the_newest_two_are_kept_with_their_best_weights(tmp_path: Path) -> None:
    for epoch, best in ((1, 1), (2, 1), (3, 3), (4, 3), (10, 3)):
        write(tmp_path, checkpoint(epoch, best), ORIGIN)
    kept = ["00004.json", "00010.json", "best-00003.npy", "variables-00004.npy", "variables-00010.npy"]
    assert names(tmp_path) == kept
    assert found_in(tmp_path).epoch == 10


def test_best_weights_are_written_once(tmp_path: Path) -> None:
    write(tmp_path, checkpoint(3, best=3), ORIGIN)
    before = (tmp_path / "best-00003.npy").stat()
    write(tmp_path, checkpoint(4, best=3), ORIGIN)
    assert (tmp_path / "best-00003.npy").stat() == before
    assert found_in(tmp_path).arrays["best"].epoch == 3


@pytest.mark.parametrize("loss", ["removed", "truncated"])
def test_best_weights_that_are_gone_are_written_again(loss: str, folder: Path) -> None:
    if loss == "removed":
        (folder / "best-00003.npy").unlink()
    else:
        os.truncate(folder / "best-00003.npy", 40)
    write(folder, checkpoint(6, best=3), ORIGIN)
    assert content_of(found_in(folder)) == content_of(checkpoint(6, best=3))


def test_the_epochs_before_a_checkpoint_are_those_that_an_observer_has_seen(folder: Path) -> None:
    assert {name: len(values) for name, values in found_in(folder).earlier.items()} == {"loss": 4, "a/b ü": 4}


# --- damage ---------------------------------------------------------------------------------------------------------


def change_manifest(manifest: Path, **changes: Any) -> None:
    """Changes the content, with the checksum that belongs to it."""
    stored = json.loads(manifest.read_text())
    stored["content"] |= changes
    stored["sha256"] = checkpoints._digest(stored["content"])
    manifest.write_text(json.dumps(stored))


def entry(manifest: Path, **changes: Any) -> dict[str, Any]:
    files = json.loads(manifest.read_text())["content"]["files"]
    return {"files": files | {"variables": files["variables"] | changes}}


def flip(path: Path, position: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def objects(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{}], object), allow_pickle=True)


MANIFEST, VARIABLES = "00005.json", "variables-00005.npy"
DAMAGES: dict[str, Any] = {
    "no file of arrays": (lambda folder: (folder / VARIABLES).unlink(), r"cannot be read \(No such file"),
    "truncated arrays": (lambda folder: os.truncate(folder / VARIABLES, 100), "has 100 bytes, expected"),
    "flipped bit": (lambda folder: flip(folder / VARIABLES, 200), "was changed: its SHA-256 differs"),
    "more bytes": (lambda folder: (folder / VARIABLES).write_bytes(b"x" * 9999), "has 9,999 bytes, expected"),
    "arrays with pickles": (lambda folder: objects(folder / VARIABLES), "bytes, expected"),
    "empty manifest": (lambda folder: (folder / MANIFEST).write_text(""), "cannot be read"),
    "truncated manifest": (lambda folder: os.truncate(folder / MANIFEST, 100), "cannot be read"),
    "a folder as manifest": (
        lambda folder: ((folder / MANIFEST).unlink(), (folder / MANIFEST).mkdir()),
        "cannot be read",
    ),
    "nested manifest": (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), "cannot be read"),
    "not UTF-8": (lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"), "cannot be read"),
    "huge manifest": (lambda folder: os.truncate(folder / MANIFEST, 2**40), "too large for a manifest"),
    "other JSON": (lambda folder: (folder / MANIFEST).write_text("[1]"), "not a checkpoint of this version"),
    "another version": (
        lambda folder: (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace("1", "2", 1)),
        "not a checkpoint of this version",
    ),
    "another epoch": (lambda folder: change_manifest(folder / MANIFEST, epoch=6), "is damaged"),
    "no state": (lambda folder: change_manifest(folder / MANIFEST, state=None), "is damaged"),
    "renamed": (lambda folder: (folder / MANIFEST).rename(folder / "00006.json"), "is damaged"),
    "changed number": (
        lambda folder: (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace("0.25", "0.75")),
        "is damaged",
    ),
}  # fmt: skip
ARRAYS = [["<f4", [6, 4]], ["<i8", []], ["<u4", [0, 3]], ["<f4", [6, 4]], ["|b1", []]]
ENTRIES: dict[str, Any] = {
    "huge shape": {"arrays": [["<f4", [2**40, 2**40]]]},
    "huge number": {"arrays": [["<f4", [10**400]]]},
    "negative side": {"arrays": [["<f4", [-1]]]},
    "dtype of objects": {"arrays": [["|O", [1]]]},
    "structured dtype": {"arrays": [[{"names": ["a"], "formats": ["O"]}, [1]]]},
    "no dtype": {"arrays": [["(2,", [1]]]},
    "other shape": {"arrays": [["<f4", [4, 6]], *ARRAYS[1:]]},
    "other dtype": {"arrays": [["<i4", [6, 4]], *ARRAYS[1:]]},
    "fewer arrays": {"arrays": ARRAYS[:-1]},
    "more arrays": {"arrays": [*ARRAYS, ["<u4", [0, 3]]]},
    "path out of the folder": {"file": "../variables-00005.npy"},
    "absolute path": {"file": "/etc/passwd"},
    "long number": {"file": f"variables-{'9' * 5000}.npy"},
    "no name": {"file": None},
    "no size": {"size": None},
    "more bytes than the file has": {"size": 2**50},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_not_read_and_the_one_before_it_is_with_a_warning(damage: str, folder: Path) -> None:
    do, reason = DAMAGES[damage]
    do(folder)
    warnings: list[str] = []
    assert content_of(found_in(folder, warnings)) == content_of(checkpoint(4, best=3))
    (warning,) = warnings
    assert "\n" not in warning
    with pytest.raises(CheckpointError, match=reason):
        read(max(checkpoints.manifests(folder).items())[1])


@pytest.mark.parametrize("changes", ENTRIES)
def test_a_manifest_that_lies_about_a_file_is_not_believed(changes: str, folder: Path) -> None:
    change_manifest(folder / MANIFEST, **entry(folder / MANIFEST, **ENTRIES[changes]))
    assert found_in(folder).epoch == 4


def test_an_array_whose_header_claims_more_than_the_file_has_is_not_allocated(folder: Path) -> None:
    path = folder / VARIABLES
    path.write_bytes(path.read_bytes().replace(b"(6, 4)", b"(6, 9)").replace(b"(0, 3), }", b"(2**9,),}"))
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    change_manifest(folder / MANIFEST, **entry(folder / MANIFEST, sha256=digest, size=len(content)))
    with pytest.raises(CheckpointError, match=r"is damaged \(an array is"):
        read(folder / MANIFEST)


def test_without_a_readable_checkpoint_the_message_lists_the_reasons(folder: Path) -> None:
    (folder / "best-00003.npy").unlink()
    with pytest.raises(
        CheckpointError, match=r"no checkpoint .* \(epoch 5: .*; epoch 4: .*\); restore them from a copy"
    ):
        newest(folder)


def test_a_damaged_checkpoint_is_removed_when_the_training_continues_after_an_earlier_one(tmp_path: Path) -> None:
    write(tmp_path / "run", checkpoint(4, best=3), ORIGIN)
    write(tmp_path / "run", checkpoint(5, best=5), ORIGIN)
    flip(tmp_path / "run" / "best-00005.npy", 130)
    training = Checkpoints(tmp_path, "run", 0)
    training.resume_from(found_in(tmp_path / "run"))
    training.latest = checkpoint(6, best=5)  # epoch 5 had no checkpoint this time, and its best weights are needed
    assert training.write_latest()
    assert content_of(found_in(tmp_path / "run")) == content_of(training.latest)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_to_any_byte_is_noticed_or_harmless(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("damage")
    write(folder, checkpoint(5, best=3), ORIGIN)
    path = folder / data.draw(st.sampled_from(names(folder)), "file")
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1), "start")
    content[start : start + data.draw(st.integers(0, 8), "removed")] = data.draw(st.binary(max_size=8), "inserted")
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        found, origin = read(folder / MANIFEST)
        assert (content_of(found), origin) == (content_of(checkpoint(5, best=3)), ORIGIN)
    shutil.rmtree(folder)


# --- interrupted writes ---------------------------------------------------------------------------------------------

WRITES = """
import itertools, sys
from pathlib import Path
from src.checkpoints import write
from tests.test_checkpoints import ORIGIN, checkpoint
folder = Path(sys.argv[1])
for epoch in itertools.count(1):
    write(folder, checkpoint(epoch, best=1 + epoch // 3, size=20_000), ORIGIN)
    print(epoch, flush=True)
"""


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(4))
def test_the_last_complete_checkpoint_of_a_killed_process_is_read(seed: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        complete = [process.stdout.readline() for _ in range(3)]
        time.sleep(float(np.random.default_rng(seed).uniform(0, 0.05)))
        process.kill()
        complete += process.stdout.readlines()
    warnings: list[str] = []
    found = found_in(tmp_path, warnings)
    assert found.epoch - int(complete[-1]) in (0, 1)  # it is complete before the process says so
    assert warnings == []
    write(tmp_path, checkpoint(found.epoch + 1, best=1), ORIGIN)
    assert not [name for name in names(tmp_path) if name.startswith(PART)]
    assert len(checkpoints.manifests(tmp_path)) == 2
    assert checkpoints.leftovers(tmp_path, checkpoints.manifests(tmp_path).values()) == []


# --- a disk that cannot be written ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        missing(f"a file system cannot be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


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


# --- where ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checkpoint_dir", "expected"),
    [(None, "store/checkpoints"), ("own", "here/own"), ("../own", "own"), ("a/../../own/b", "own/b")],
)
def test_the_folder_of_all_checkpoints_is_absolute_and_has_a_plain_path(
    checkpoint_dir: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert checkpoints.root_of(checkpoint_dir, tmp_path / "store") == tmp_path / expected


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
    """The monotonic clock of `src.checkpoints`, which a test sets."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, write = Clock(), checkpoints.write

    def write_slowly(*arguments: Any) -> int:
        clock.now += 2
        return write(*arguments)

    monkeypatch.setattr(checkpoints, "time", clock)
    monkeypatch.setattr(checkpoints, "write", write_slowly)
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
    assert written_epochs(training, clock, seconds, checkpoints.MAX_HELD + 1) == epochs
    assert training.latest is None
    assert training.write_latest() == bool(epochs)
    assert training.written == max(epochs, default=0)


def test_the_last_state_before_a_stop_is_written_however_large_it_is(clock: Clock, tmp_path: Path) -> None:
    training = Checkpoints(tmp_path, "run", 60, is_stopping=lambda: clock.now > 1010)
    assert written_epochs(training, clock, [1, 1, 1, 10], checkpoints.MAX_HELD + 1) == [1, 4]


def test_a_state_that_is_held_is_written_when_the_minutes_have_passed_or_the_training_stops(
    clock: Clock, tmp_path: Path
) -> None:
    training = Checkpoints(tmp_path, "run", 1)
    assert written_epochs(training, clock, [10, 45, 10, 10], checkpoints.MAX_HELD) == [3]
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
