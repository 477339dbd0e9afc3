"""A picture that is made in steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from src.art.pictures import Floats, to_pixels

Array = npt.NDArray[Any]


class Work(ABC):
    """A picture that is made in steps, and can be continued from its state after any of them.

    Attributes:
        picture: float32, (height, width, channels), 0-1, as it is now.
        done: how many steps have been made.
        total: how many steps there are.
        inputs: the digest of each picture that was read, by the setting that names it.
        notes: facts that a user should know before the first step.
    """

    picture: Floats
    done: int = 0
    total: int
    inputs: Mapping[str, str]
    notes: Sequence[str] = ()

    @abstractmethod
    def step(self) -> dict[str, float]:
        """Make the next step, and return its metrics.

        Raises:
            TrainingDiverged: the loss is not a finite number.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return what was chosen for this network and these pictures, by name."""

    @property
    @abstractmethod
    def is_shown(self) -> bool:
        """True if the picture is worth keeping in the run after this step."""

    def arrays(self) -> list[Array]:
        """Return copies of the picture and of other arrays that the next step needs."""
        return [self.picture.copy()]

    def restore(self, done: int, arrays: Sequence[Array]) -> None:
        """Continue from the arrays after `done` steps."""
        self.done, self.picture = done, np.array(arrays[0])

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The picture as it is now: uint8, (height, width, channels), 0-255."""
        return to_pixels(self.picture)
