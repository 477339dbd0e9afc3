"""A store to check, and facts that several checks need."""

from __future__ import annotations

import contextlib
import functools
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from src import study, tracking
from src.checkpointing import FOLDER, check, manifests, root_of
from src.errors import CheckpointError
from src.links import doctor_command, resume_art_command, resume_command
from src.places import local_path
from src.schema import DoctorConfig

IDLE_SECONDS = 600  # a process that writes a file or a folder changes it at least this often


class Case:
    """A store, and the storage of its studies.

    Attributes:
        store: the tracking store.
        storage: Optuna's storage, None without one.
        config: what the command was asked to do.
    """

    def __init__(self, store: tracking.Survey, storage: study.Storage | None, config: DoctorConfig) -> None:
        self.store = store
        self.storage = storage
        self.config = config
        self._lost: set[str] = set()  # runs of trials whose worker is dead
        self._damages: dict[Path, CheckpointError | None] = {}  # by the manifest of a checkpoint

    @property
    def checkpoints(self) -> Path:
        """The folder of all checkpoints, which need not exist."""
        return root_of(self.config.checkpoint_dir, self.store.folder)

    @functools.cached_property
    def living_trials(self) -> frozenset[tuple[str, int]]:
        """The trials that a worker runs now: ids of studies and numbers. A lock shows it, on any machine."""
        return frozenset(
            (record.unique, trial.number) for record in self.studies() for trial in record.trials if trial.is_alive
        )

    def studies(self) -> Iterator[study.StudyRecord]:
        """Yield the studies of the storage."""
        if self.storage is not None:
            yield from study.study_records(self.storage)

    def note_lost(self, run_id: str) -> None:
        """Note that the worker of a run's trial is dead."""
        self._lost.add(run_id)

    def is_reported(self, run: tracking.RunRecord) -> bool:
        """Return True if the run is a part of the finding about its trial."""
        return run.run_id in self._lost

    def is_lost(self, run: tracking.RunRecord) -> bool:
        """Return True if the process of a run, or the worker of its trial, has ended for certain."""
        return self.is_reported(run) or (run.has_process is False and not self.runs_trial(run))

    def runs_trial(self, run: tracking.RunRecord) -> bool:
        """Return True if a worker runs the trial of the run now."""
        return run.study is not None and run.trial is not None and (run.study, run.trial) in self.living_trials

    def is_alive(self, run: tracking.RunRecord) -> bool:
        """Return True if the process of a run, or the worker of its trial, exists for certain."""
        return run.has_process is True or self.runs_trial(run)

    def may_run(self, run: tracking.RunRecord) -> bool:
        """Return True if a run says RUNNING and that may be true."""
        return run.status == "RUNNING" and not self.is_lost(run)

    def last_checkpoint(self, run: tracking.RunRecord) -> tuple[int, Path | None]:
        """Return the epoch of the checkpoint from which a run can be resumed, 0 without one, and its folder.

        The second value is the folder of all checkpoints, None where the run finds its checkpoint by itself.
        """
        default = self.store.folder / FOLDER
        for root in (local_path(str(run.tags.get(tracking.CHECKPOINTS, default))), default):
            if epoch := self._newest_epoch(root / run.run_id):
                return epoch, None
        if epoch := self._newest_epoch(self.checkpoints / run.run_id):
            return epoch, self.checkpoints
        if tracking.WRITTEN not in run.metrics:
            return 0, None
        uploaded = self.store.names_in(run, tracking.UPLOADED)
        return max((int(name[:-5]) for name in uploaded if re.fullmatch(r"\d+\.json", name)), default=0), None

    def _newest_epoch(self, folder: Path) -> int:
        if folder == self.checkpoints / (self.config.discard or ""):  # `discard` removes it
            return 0
        with contextlib.suppress(CheckpointError):  # the folder cannot be read
            return max((epoch for epoch, file in manifests(folder).items() if not self.damage_of(file)), default=0)
        return 0

    def damage_of(self, manifest: Path) -> str:
        """Return what is wrong with the checkpoint of a manifest, "" if it is complete. It is read only once."""
        if manifest not in self._damages:
            try:
                check(manifest)
                self._damages[manifest] = None
            except CheckpointError as error:
                self._damages[manifest] = error
        return str(self._damages[manifest] or "")

    def can_read(self, manifest: Path) -> bool:
        """Return False if the system does not read the files of a checkpoint now, so that they may be undamaged."""
        self.damage_of(manifest)
        cause = getattr(self._damages[manifest], "__cause__", None)
        return not isinstance(cause, OSError) or isinstance(cause, FileNotFoundError)

    def how_to_resume(self, run: tracking.RunRecord) -> str:
        """Return the advice for resuming an interrupted run, and the command where it is known.

        The advice for a training depends on the checkpoints that exist.
        """
        if run.is_parent and tracking.COMMAND in run.tags:
            return f"to resume it:\n{run.tags[tracking.COMMAND]}"
        if run.is_sweep or run.trial is not None:
            return f"to resume study {run.tags.get('study', '')}, run the command of the sweep again"
        if run.is_parent:
            return f"to resume the pipeline {run.tags.get('pipeline', '')}, run its command again"
        epoch, root = self.last_checkpoint(run)
        if run.art is not None:
            start = f"after step {epoch}" if epoch and root is None else "from the first step"
            return f"to resume it {start}:\n{resume_art_command(run.art, self.store.uri, run.run_id)}"
        command = resume_command(self.store.uri, run.run_id)
        if epoch:
            folder = f" training.checkpoint_dir={shlex.quote(str(root))}" if root else ""
            return f"to resume it after epoch {epoch}:\n{command}{folder}"
        if tracking.WRITTEN in run.metrics:
            problem = "its checkpoints are gone or damaged; train it again, or name a folder that has them"
            return f"{problem}:\n{command} training.checkpoint_dir=FOLDER"
        return f"to resume it from the first epoch, because it has no checkpoint:\n{command}"

    def doctor_command(self, *overrides: str) -> str:
        """Return a command of the doctor for the same store and the same checkpoints."""
        folder = self.config.checkpoint_dir
        return doctor_command(self.store.uri, *overrides, *([f"checkpoint_dir={folder}"] if folder else []))


def is_idle(path: Path) -> bool:
    """Return True if nothing at or below the path has changed for a while, so that no process is writing it."""
    try:
        newest = max(entry.lstat().st_mtime for entry in (path, *path.rglob("*")))
    except OSError:  # a process renames or removes it just now
        return False
    return time.time() - newest > IDLE_SECONDS


def size_of(*paths: Path) -> int:
    """Return the size in bytes of files, and of everything below folders."""
    files = (entry for path in paths for entry in (path, *path.rglob("*")))
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


def described(run: tracking.RunRecord) -> str:
    """Return the id of a run, and its name."""
    return f"run {run.run_id} ({run.name})" if run.name else f"run {run.run_id}"
