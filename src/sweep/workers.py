"""The workers of a sweep, seen from the command that starts and watches them, wherever they run."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from src.space import SweepPlan
from src.sweep.job import Job


class Workers(Protocol):
    """The workers of one command. Each engine has its own: `src.sweep.local`, and `src.sweep.engines` for clusters.

    Attributes:
        n_jobs: how many workers there are at a time.
        failing: True if a worker ended because too many trials failed in a row.
        name: of what an engine has started, whose workers may begin later; "" for processes of this machine.
    """

    n_jobs: int
    failing: bool
    name: str

    @property
    def have_ended(self) -> bool:
        """True if the last call of `wait` found workers that have ended."""

    def check(self, plan: SweepPlan) -> None:
        """Raise ConfigError if these workers cannot train the trials of the plan. Nothing has been started."""

    def __enter__(self) -> Workers:
        """Start workers that need no job yet."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, unless they outlive this process."""

    def give(self, job: Job, ask_to_stop: Callable[[], object]) -> None:
        """Give each worker its job.

        Args:
            job: of the sweep.
            ask_to_stop: stores the request to stop in the study.

        Raises:
            UserError: the workers could not be started.
        """

    def wait(self, seconds: float) -> bool:
        """Wait for this time, or until a worker ends; return True if a worker is left."""

    def replace_dead(self) -> None:
        """Start a worker for each one that died, unless the engine itself does so.

        Raises:
            UserError: too many workers died without any progress.
        """

    def note_progress(self, ended_trials: int) -> None:
        """Note how many trials have ended."""

    def stop(self) -> None:
        """Let each worker end its trial with the epoch, and start no other trial."""

    def kill(self) -> None:
        """End the workers at once. Those on a cluster still write a checkpoint."""

    def end(self) -> None:
        """End workers that have nothing left to do."""

    def check_ending(self, is_done: bool) -> None:
        """Raise UserError if no worker is left although the sweep is not complete.

        Args:
            is_done: True if the study has all its trials.
        """
