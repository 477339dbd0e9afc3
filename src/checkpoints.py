"""Checkpoints: the whole state of a training after an epoch, in files from which another process continues it.

A folder contains the checkpoints of one training. The arrays are in NumPy's format, one after the other, without
pickles; the rest is JSON.

    00005.json             the state after epoch 5, and the size and the SHA-256 of each file; written last
    variables-00005.npy    of the model and its optimizer
    best-00003.npy         the weights of the best epoch, which later checkpoints share
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from src.errors import CheckpointError
from src.places import local_path
from src.writing import PART, remove, replacing

FOLDER = "checkpoints"  # the folder of all checkpoints, next to the store
TRIAL = "trial-"  # begins the names of folders of chains of trials
FORMAT = 1  # of the files
KEPT = 2  # checkpoints of a training that stay on the disk
MAX_HELD = 256 * 2**20  # bytes of a state that is held in memory after each epoch
MAX_SHARE = 0.05  # of the time of a training that writing a larger state may take
MAX_MANIFEST = 64 * 2**20  # bytes; a history of 10,000 epochs has about 2 MB
_MANIFEST = re.compile(r"([0-9]{5,9})\.json")
_ARRAYS = re.compile(r"[a-z_]+-([0-9]{5,9})\.npy")
_DTYPE = re.compile(r"[<>|][fiub][0-9]{1,2}")  # floats, integers, unsigned integers, booleans: no objects

Array = npt.NDArray[Any]


def root_of(checkpoint_dir: str | None, store_folder: Path) -> Path:
    """Return the folder of all checkpoints, which need not exist.

    Args:
        checkpoint_dir: the folder that a user has named, such as `training.checkpoint_dir`.
        store_folder: the folder of the store.
    """
    if checkpoint_dir is None:
        return store_folder / FOLDER
    folder = local_path(checkpoint_dir).absolute()
    return folder.resolve() if ".." in folder.parts else folder


def trial_key(study: str, chain: int) -> str:
    """Return the name of the folder of a chain of trials.

    Args:
        study: the id of the study.
        chain: the number of the chain's first trial.
    """
    return f"{TRIAL}{study}-{chain}"


def newest_epoch(folder: Path) -> int:
    """Return the epoch of the newest checkpoint in a folder, 0 without one. Its files are not checked."""
    return max(manifests(folder), default=0)


class Arrays(NamedTuple):
    """Some arrays in a fixed order, and the epoch whose end they are from."""

    epoch: int
    values: Sequence[Array]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after an epoch.

    Attributes:
        epoch: the number of the epoch, counted from 1.
        state: numbers and names, which JSON can hold.
        arrays: weights and other variables.
    """

    epoch: int
    state: dict[str, Any]
    arrays: Mapping[str, Arrays]

    @property
    def earlier(self) -> dict[str, list[float]]:
        """Metric name -> one value for each epoch before this one."""
        return {name: values[:-1] for name, values in self.state["history"].items()}


class Written(NamedTuple):
    """A checkpoint that was written: its epoch, the seconds that it took, and the bytes of its files."""

    epoch: int
    seconds: float
    size: int


@dataclass
class Checkpoints:
    """The checkpoints of one training.

    Attributes:
        root: the folder of all checkpoints.
        key: the name of this training's folder; without one nothing is written.
        minutes: the minimum time between two checkpoints; None: none is written.
        origin: what the training depends on, stored with each checkpoint.
        report: called with a sentence when a checkpoint cannot be written.
        on_write: called with each checkpoint that was written.
        is_stopping: returns True if the training will be stopped after the present epoch.
        resumed: the checkpoint from which the training continues, None for a new training.
        latest: the state after the last complete epoch, if it is held in memory.
        changes: of code and packages since the checkpoint from which the training continues.
        written: the epoch of the last checkpoint on the disk, 0 without one.
    """

    root: Path
    key: str | None
    minutes: float | None
    origin: Mapping[str, Any] = field(default_factory=dict)
    report: Callable[[str], object] = str
    on_write: Callable[[Written], object] = repr
    is_stopping: Callable[[], bool] = bool  # False
    resumed: Checkpoint | None = None
    latest: Checkpoint | None = None
    changes: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._last_write = time.monotonic()
        self._seconds = 0.0  # of the last write
        self.written = self.resumed.epoch if self.resumed else 0
        self._reasons: set[str] = set()

    def resume_from(self, checkpoint: Checkpoint, changes: Sequence[str] = ()) -> None:
        """Note the checkpoint from which the training continues, and remove later ones, which could not be read.

        Args:
            checkpoint: it may come from elsewhere.
            changes: of code and packages since it was written.
        """
        self.resumed, self.changes = checkpoint, changes
        self.written = checkpoint.epoch if checkpoint.epoch in manifests(self.folder) else 0
        for epoch, manifest in manifests(self.folder).items():
            if epoch > checkpoint.epoch:
                with contextlib.suppress(OSError):
                    remove(manifest)

    @property
    def folder(self) -> Path:
        """The folder of this training's checkpoints, which may not exist."""
        return self.root / (self.key or "")

    @property
    def is_on(self) -> bool:
        """True if checkpoints are written."""
        return self.key is not None and self.minutes is not None

    @property
    def is_written(self) -> bool:
        """True if there is a checkpoint on the disk."""
        return self.written > 0

    def is_due(self, size: int) -> bool:
        """Return True if it is time for a checkpoint of a state of this many bytes.

        When the training is stopped, the state that is held in memory is written. A state that is too large to be held
        is written in advance: after each epoch, or after fewer of them if writing would take more than `MAX_SHARE` of
        the time, and after the last epoch before a stop.
        """
        if not self.is_on or self.minutes is None:
            return False
        wait = 60 * self.minutes
        if size > MAX_HELD:
            wait = 0 if self.is_stopping() else min(wait, self._seconds / MAX_SHARE)
        return time.monotonic() - self._last_write >= wait

    def end_epoch(self, size: int, take: Callable[[], Checkpoint]) -> None:
        """Hold the state after an epoch in memory, and write it if a checkpoint is due.

        Args:
            size: of the state, in bytes.
            take: returns the state. It is not called if the state is neither held nor written.
        """
        is_held, is_due = self.is_on and size <= MAX_HELD, self.is_due(size)
        self.latest = None  # never two at a time
        if is_held or is_due:
            self.latest = take()
        if is_due:
            self.write_latest()
        if not is_held:
            self.latest = None

    def write_latest(self) -> bool:
        """Write the state that is held, unless it is on the disk already; return True if it is on the disk now.

        A state that cannot be written is reported, and the training continues.
        """
        latest = self.latest
        if not self.is_on:
            return False
        if latest is None or latest.epoch <= self.written:
            return self.is_written
        start = self._last_write = time.monotonic()
        try:
            size = write(self.folder, latest, self.origin)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason not in self._reasons:
                self._reasons.add(reason)
                self.report(
                    f"the checkpoint of epoch {latest.epoch} could not be written to {self.folder} ({reason}); the "
                    "training continues without it"
                )
            return self.is_written
        finally:
            self._seconds = time.monotonic() - start
        self.written = latest.epoch
        self.on_write(Written(latest.epoch, self._seconds, size))
        return True

    def delete(self) -> None:
        """Remove the checkpoints of this training, and the folder of all checkpoints if it is empty then."""
        if self.key is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                self.root.rmdir()


def write(folder: Path, checkpoint: Checkpoint, origin: Mapping[str, Any]) -> int:
    """Write a checkpoint, remove older ones than the last two, and return the bytes of its files.

    It is complete once its manifest has its name. Arrays that an earlier checkpoint contains are not written again.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _files_of(folder)
    files: dict[str, Any] = {}
    for name, arrays in checkpoint.arrays.items():
        file = f"{name}-{arrays.epoch:05}.npy"
        files[name] = known.get(file) if arrays.epoch < checkpoint.epoch else None
        files[name] = files[name] or _write_arrays(folder / file, arrays.values)
    content = {"epoch": checkpoint.epoch, "files": files, "origin": origin, "state": checkpoint.state}
    manifest = folder / f"{checkpoint.epoch:05}.json"
    with replacing(manifest) as part, part.open("w", encoding="utf-8") as file_object:
        json.dump({"format": FORMAT, "sha256": _digest(content), "content": content}, file_object)
        file_object.flush()
        os.fsync(file_object.fileno())
    _sync_folder(folder)
    with contextlib.suppress(OSError):  # the checkpoint is complete
        _remove_old(folder)
    return manifest.stat().st_size + sum(entry["size"] for entry in files.values() if entry)


def newest(folder: Path, warn: Callable[[str], object] = str) -> tuple[Checkpoint, Mapping[str, Any]] | None:
    """Return the newest checkpoint in a folder that is complete and undamaged, and its origin; None without any.

    Args:
        folder: of one training.
        warn: called with a sentence when a newer checkpoint cannot be read.

    Raises:
        CheckpointError: there are some, but none of them can be read.
    """
    problems: list[str] = []
    for epoch, manifest in sorted(manifests(folder).items(), reverse=True):
        try:
            found = read(manifest)
        except CheckpointError as error:
            problems.append(f"epoch {epoch}: {error}")
            continue
        if problems:
            warn(
                f"a newer checkpoint in {folder} cannot be read ({'; '.join(problems)}); the training continues after "
                f"epoch {epoch}"
            )
        return found
    if problems:
        raise CheckpointError(
            f"no checkpoint in {folder} can be read ({'; '.join(problems)}); restore them from a copy, or remove the "
            "folder to start from the first epoch"
        )
    return None


def manifests(folder: Path) -> dict[int, Path]:
    """Return the manifests in a folder by their epoch.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    found = {}
    try:
        for path in folder.iterdir():
            if name := _MANIFEST.fullmatch(path.name):
                found[int(name[1])] = path
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CheckpointError(f"the folder {folder} cannot be read ({error.strerror or error})") from error
    return found


def read(manifest: Path) -> tuple[Checkpoint, Mapping[str, Any]]:
    """Return the checkpoint of a manifest, and its origin.

    Raises:
        CheckpointError: it is damaged, or not a checkpoint of this version.
    """
    content = read_manifest(manifest)
    arrays = {
        name: Arrays(int(_ARRAYS.sub(r"\1", entry["file"])), _read_arrays(manifest.parent, entry))
        for name, entry in content["files"].items()
    }
    return Checkpoint(content["epoch"], content["state"], arrays), content["origin"]


def read_manifest(manifest: Path) -> dict[str, Any]:
    """Return the content of a manifest, which is checked; the files that it names are not.

    Raises:
        CheckpointError: it is damaged, or of another version.
    """
    try:
        if manifest.stat().st_size > MAX_MANIFEST:
            raise CheckpointError(f"{manifest.name} is too large for a manifest")
        stored = json.loads(manifest.read_text(encoding="utf-8"))
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{manifest.name} cannot be read ({_reason(error)})") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise CheckpointError(f"{manifest.name} is not a checkpoint of this version")
    content = stored.get("content")
    if not isinstance(content, dict) or stored.get("sha256") != _digest(content) or not _is_whole(content, manifest):
        raise CheckpointError(f"{manifest.name} is damaged")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what JSON can hold. It is the same after reading it back."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _is_whole(content: Mapping[str, Any], manifest: Path) -> bool:
    """Return True if a manifest has every part, and its own name."""
    if not all(isinstance(content.get(key), dict) for key in ("files", "origin", "state")):
        return False
    is_named = isinstance(content.get("epoch"), int) and manifest.name == f"{content['epoch']:05}.json"
    return is_named and all(map(_is_entry, content["files"].values()))


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error) or type(error).__name__).splitlines()[0]


def check(manifest: Path) -> None:
    """Raise CheckpointError unless the manifest and all files that it names are complete and undamaged."""
    for entry in read_manifest(manifest)["files"].values():
        check_file(manifest.parent, entry)


def check_file(folder: Path, entry: Mapping[str, Any]) -> None:
    """Raise CheckpointError unless a file has the size and the SHA-256 that its manifest lists."""
    path = folder / entry["file"]
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry["size"]:
                raise CheckpointError(f"{path.name} has {size:,} bytes, expected {entry['size']:,}")
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise CheckpointError(f"{path.name} was changed: its SHA-256 differs from the manifest")
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({_reason(error)})") from error


def leftovers(folder: Path, wanted: Iterable[Path]) -> list[Path]:
    """Return what is left over in a folder: unfinished files, and arrays that none of the wanted manifests names."""
    named = {name for manifest in wanted for name in _names_in(manifest)}
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name.startswith(PART) or (_ARRAYS.fullmatch(path.name) and path.name not in named)
    ]


def _write_arrays(path: Path, arrays: Sequence[Array]) -> dict[str, Any]:
    """Write arrays one after the other, and return what the manifest says about the file."""
    with replacing(path) as part:
        with part.open("wb") as file:
            for array in arrays:
                _write_array(file, np.asarray(array, order="C"))
            file.flush()
            os.fsync(file.fileno())
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = part.stat().st_size
    shapes = [[array.dtype.str, list(array.shape)] for array in arrays]
    return {"file": path.name, "size": size, "sha256": digest, "arrays": shapes}


def _write_array(file: BinaryIO, array: Array) -> None:
    """Write an array in NumPy's format. `np.save` does the same, but hides why the file system refused it."""
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.reshape(-1).view(np.uint8).data)


def _read_arrays(folder: Path, entry: Mapping[str, Any]) -> list[Array]:
    """Return the arrays of a file. The file is checked before anything of the size that it claims is allocated."""
    check_file(folder, entry)
    path = folder / entry["file"]
    expected = [(np.dtype(dtype), tuple(shape)) for dtype, shape in entry["arrays"]]
    arrays = []
    try:
        with path.open("rb") as file:
            for dtype, shape in expected:
                start = file.tell()
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError("another version of NumPy's format")
                found, _, of_type = np.lib.format.read_array_header_1_0(file)
                if (of_type, found) != (dtype, shape):
                    raise ValueError(f"an array is {of_type} {found}, expected {dtype} {shape}")
                file.seek(start)
                arrays.append(np.load(file, allow_pickle=False))
            if file.read(1):
                raise ValueError("it contains more arrays than expected")
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path.name} is damaged ({_reason(error)})") from error
    return arrays


def _is_entry(entry: Any) -> bool:
    """Return True if this is what a manifest says about a file, and its arrays fit into the size of the file."""
    try:
        total = 0
        for dtype, shape in entry["arrays"]:
            if not _DTYPE.fullmatch(dtype) or not all(isinstance(side, int) and side >= 0 for side in shape):
                return False
            total += np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object))
        is_named = bool(_ARRAYS.fullmatch(entry["file"])) and isinstance(entry["sha256"], str)
        return is_named and isinstance(entry["size"], int) and total <= entry["size"]
    except (TypeError, ValueError, KeyError):  # another form
        return False


def _files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what the manifests in a folder say about their files, without those that are gone or have another size."""
    known: dict[str, dict[str, Any]] = {}
    for manifest in manifests(folder).values():
        with contextlib.suppress(CheckpointError, OSError):
            for entry in read_manifest(manifest)["files"].values():
                if (folder / entry["file"]).stat().st_size == entry["size"]:
                    known[entry["file"]] = entry
    return known


def _names_in(manifest: Path) -> Iterator[str]:
    with contextlib.suppress(CheckpointError):
        for entry in read_manifest(manifest)["files"].values():
            yield entry["file"]


def _remove_old(folder: Path) -> None:
    """Remove all but the newest checkpoints, and what no manifest names."""
    for _, manifest in sorted(manifests(folder).items())[:-KEPT]:
        remove(manifest)
    for path in leftovers(folder, manifests(folder).values()):
        remove(path)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
