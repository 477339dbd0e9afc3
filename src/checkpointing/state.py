"""The state of a training after an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy.typing as npt

Array = npt.NDArray[Any]


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
