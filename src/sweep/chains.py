"""Chains of trials: a trial, and those that try it again after interruptions. All of them share their checkpoints."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Container, Iterator

from src import tracking
from src.checkpointing import newest_epoch, root_of, trial_key
from src.places import store_folder
from src.space import SweepPlan


class Chains:
    """The checkpoints of a study's trials.

    Args:
        plan: the checked settings of the sweep.
        study: the name and id of the study.
    """

    def __init__(self, plan: SweepPlan, study: tracking.StudyId) -> None:
        training = next(iter(plan.space.trees().values()))["training"]
        self.root = root_of(training["checkpoint_dir"], store_folder(plan.tracking.uri))
        self._study = study.unique

    def key(self, chain: int) -> str:
        """Return the name of the folder of a chain, which has the number of its first trial."""
        return trial_key(self._study, chain)

    def epoch(self, chain: int) -> int:
        """Return the epoch of the newest checkpoint of a chain, 0 without one."""
        return newest_epoch(self.root / self.key(chain))

    def remove(self, chain: int) -> None:
        """Remove the checkpoints of a chain."""
        shutil.rmtree(self.root / self.key(chain), ignore_errors=True)
        with contextlib.suppress(OSError):  # there are others, or there is none
            self.root.rmdir()

    def remove_others(self, wanted: Container[int]) -> None:
        """Remove the checkpoints of all chains but these."""
        for chain in list(self._kept()):
            if chain not in wanted:
                self.remove(chain)

    def _kept(self) -> Iterator[int]:
        prefix = trial_key(self._study, 0)[:-1]
        for folder in self.root.glob(f"{prefix}*") if self.root.is_dir() else ():
            if (number := folder.name.removeprefix(prefix)).isdecimal():
                yield int(number)
