"""The checkpoints of one training: when they are written, and from which one it continues."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from src.checkpointing.files import write
from src.checkpointing.manifest import manifests
from src.checkpointing.state import Checkpoint
from src.errors import CheckpointError
from src.writing import remove

MAX_HELD = 256 * 2**20  # bytes of a state that is held in memory after each epoch
MAX_SHARE = 0.05  # of the time of a training that writing a larger state may take


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
        is_replacing: True if none of the checkpoints in the folder is used.
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
    is_replacing: bool = False

    def __post_init__(self) -> None:
        self._last_write = time.monotonic()
        self._seconds = 0.0  # of the last write
        self.written = self.resumed.epoch if self.resumed else 0
        self._reasons: set[str] = set()

    def resume_from(self, checkpoint: Checkpoint, changes: Sequence[str] = ()) -> None:
        """Note the checkpoint from which the training continues.

        Args:
            checkpoint: it may come from elsewhere.
            changes: of code and packages since it was written.
        """
        self.resumed, self.changes = checkpoint, changes
        is_here = not self.is_replacing and checkpoint.epoch in manifests(self.folder)
        self.written = checkpoint.epoch if is_here else 0

    def remove_unused(self) -> None:
        """Remove checkpoints from which the training does not continue, once no other process can use them."""
        if self.is_replacing:
            self.delete()
        elif self.resumed is not None:
            with contextlib.suppress(OSError, CheckpointError):
                for epoch, manifest in manifests(self.folder).items():
                    if epoch > self.resumed.epoch:  # it is damaged
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
