"""A store to check, and facts that several checks need."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path

from src import study, tracking
from src.checkpoints import root_of
from src.links import resume_command
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


def how_to_resume(run: tracking.RunRecord, uri: str) -> str:
    """Return the command that continues an interrupted run."""
    if run.is_parent and tracking.COMMAND in run.tags:
        return f"{run.tags[tracking.COMMAND]} resumes it"
    if run.is_sweep or run.trial is not None:
        return f"run the command of the sweep again, which resumes study {run.tags.get('study', '')}"
    if run.is_parent:
        return f"run the command of the pipeline {run.tags.get('pipeline', '')} again"
    return f"{resume_command(uri, run.run_id)} resumes it"
