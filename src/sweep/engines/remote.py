"""Workers that an engine starts, seen from the command that watches them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from src import console
from src.errors import ConfigError, UserError
from src.extensions import loaded_extensions
from src.space import SweepPlan, searched_places, typed_places
from src.sweep.engines.work import Engine, Work, check_places
from src.sweep.job import Job
from src.sweep.worker_log import LOGS, log_folder

LOOK_SECONDS = 5.0  # between two questions to the engine


class RemoteWorkers:
    """`n_jobs` workers that an engine starts. They outlive this process, and end when the study is complete or stopped.

    Attributes:
        n_jobs: how many workers are started.
        name: the name of what the engine has started, "" before.
        folder: the folder of the workers' logs.
    """

    failing = False  # the study says whether too many trials failed in a row
    have_ended = False  # another worker finds the trial of a dead one

    def __init__(self, engine: Engine, plan: SweepPlan, n_jobs: int) -> None:
        self.n_jobs = n_jobs
        self.name = ""
        self.folder = Path.cwd() / LOGS
        self._engine = engine
        self._plan = plan
        self._deadline: float | None = None  # by the monotonic clock
        self._left = n_jobs
        self._ask_to_stop: Callable[[], object] | None = None
        self._next_look = 0.0

    def check(self, plan: SweepPlan) -> None:
        """Raise ConfigError if the plan contains what other machines cannot have, or the engine cannot be used here."""
        if places := searched_places(plan):
            raise ConfigError(
                f"{places[0]}: hydra/sweeper/engine={plan.settings.engine.name} cannot search paths, because machines "
                "have paths of their own; give one value"
            )
        check_places(typed_places(plan))
        self._engine.check()

    def __enter__(self) -> RemoteWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: the workers outlive this process, and the study says when they end."""

    def give(self, job: Job, ask_to_stop: Callable[[], object]) -> None:
        """Start the workers.

        Args:
            job: of the sweep.
            ask_to_stop: stores the request to stop in the study, where the workers find it.

        Raises:
            UserError: the engine refused.
        """
        self._ask_to_stop, self._deadline = ask_to_stop, job.deadline
        extensions = [extension.name for extension in loaded_extensions()]
        self.folder = log_folder(job.study.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        work = Work(
            study=job.study.name,
            n_jobs=self.n_jobs,
            storage=self._plan.settings.storage,
            tracking_uri=self._plan.tracking.uri,
            places=[*([f"extensions=[{','.join(extensions)}]"] if extensions else []), *typed_places(self._plan)],
            log_folder=self.folder,
        )
        self.name = self._engine.start(work)
        self._next_look = time.monotonic() + LOOK_SECONDS
        console.say(f"started {self.name}; logs: {self.folder}")

    def wait(self, seconds: float) -> bool:
        """Wait for this time, and return True if a worker is queued or running."""
        time.sleep(seconds)
        if self.name and time.monotonic() >= self._next_look:
            self._left = self._engine.count(self.name)
            self._next_look = time.monotonic() + LOOK_SECONDS
        return bool(self.name) and self._left > 0

    def replace_dead(self) -> None:
        """Do nothing: the cluster starts a lost worker again."""

    def note_progress(self, ended_trials: int) -> None:
        """Do nothing: this process replaces no workers, so it does not count their deaths."""

    def stop(self) -> None:
        """Remove queued workers, and let each running one stop after the epoch of its trial."""
        if self._ask_to_stop is not None:
            self._ask_to_stop()
        self._stop(now=False)

    def check_ending(self, is_done: bool) -> None:
        """Raise UserError if no worker is left although the sweep is not complete.

        Args:
            is_done: True if the study has all its trials.
        """
        if self.name and not is_done and not self._is_too_late():
            raise UserError(
                f"all workers of {self.name} have ended, but the sweep is not complete; read their logs in "
                f"{self.folder}"
            )

    def _is_too_late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def end(self) -> None:
        """Do nothing: a worker that finds no trial writes the report and ends."""

    def kill(self) -> None:
        """Ask the running workers to end at once."""
        self._stop(now=True)

    def _stop(self, now: bool) -> None:
        if self.name:
            with suppress(UserError):  # the study has asked the workers already
                self._engine.stop(self.name, now)
