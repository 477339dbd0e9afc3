"""Files of checkpoints: complete or not there, and nothing that is damaged is read."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src import checkpointing
from src.checkpointing import manifests, may_be_whole, newest, read, write
from src.checkpointing.manifest import digest_of
from src.errors import CheckpointError
from src.writing import PART
from tests.support.checkpoints import ORIGIN, checkpoint, content_of, flip, found_in, names
from tests.support.workplace import ROOT


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
    stored["sha256"] = digest_of(stored["content"])
    manifest.write_text(json.dumps(stored))


def entry(manifest: Path, **changes: Any) -> dict[str, Any]:
    files = json.loads(manifest.read_text())["content"]["files"]
    return {"files": files | {"variables": files["variables"] | changes}}


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
        read(max(checkpointing.manifests(folder).items())[1])


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


def test_a_checkpoint_that_a_disk_does_not_read_is_not_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(CheckpointError, match=r"cannot be read: .*Input/output error.*; try again, or remove") as found:
        newest(folder)
    assert may_be_whole(found.value)


def test_a_file_system_that_cannot_sync_a_folder_takes_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def sync_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync_files)
    for epoch in (1, 2, 3):
        assert write(tmp_path, checkpoint(epoch, best=epoch), ORIGIN) > 0
    assert sorted(manifests(tmp_path)) == [2, 3]


def test_without_a_readable_checkpoint_the_message_lists_the_reasons(folder: Path) -> None:
    (folder / "best-00003.npy").unlink()
    with pytest.raises(
        CheckpointError, match=r"no checkpoint .* \(epoch 5: .*; epoch 4: .*\); restore them from a copy"
    ):
        newest(folder)


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
from src.checkpointing import write
from tests.support.checkpoints import ORIGIN, checkpoint
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
    assert len(checkpointing.manifests(tmp_path)) == 2
    assert checkpointing.leftovers(tmp_path, checkpointing.manifests(tmp_path).values()) == []
