"""The dimensions of a search space."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from src.errors import ConfigError

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Interval:
    """Numbers between two bounds, both included; integers if the bounds are.

    Attributes:
        name: a key's dotted name.
        low, high: the bounds.
        step: distance between two values, None for any number.
        log: whether orders of magnitude are searched evenly.
        is_falling: whether the values were typed from high to low; the order matters only for a grid.
    """

    name: str
    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False
    is_falling: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ConfigError(
                f"{self.name}: the bounds {_plain(self.low)} and {_plain(self.high)} must be finite numbers"
            )
        if self.low > self.high:
            raise ConfigError(
                f"{self.name}: the lower bound is above the upper one; write {self.typed(self.high, self.low)} "
                f"instead of {self.typed()}"
            )
        if self.log and self.low <= 0:
            raise ConfigError(
                f"{self.name}: a logarithmic interval must begin above 0, not at {_plain(self.low)}"
                + (f"; write for instance {self.typed(low=self._above_zero)}" if self.high > 0 else "")
            )

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def _above_zero(self) -> int | float:
        return 1 if self.is_whole else self.high / 1000

    @property
    def _exact(self) -> tuple[Decimal, Decimal, Decimal] | None:
        """Low, high and step; as Decimal, since a sum of binary fractions misses the values that were typed."""
        step = self.step or (1 if self.is_whole and not self.log else None)
        return None if step is None else (Decimal(str(self.low)), Decimal(str(self.high)), Decimal(str(step)))

    def count(self) -> int | None:
        """Return the number of values, None if there are infinitely many."""
        if self._exact is None:
            return None
        low, high, step = self._exact
        return int((high - low) / step) + 1

    def holds(self, value: Any) -> bool:
        """Return whether this is one of the values."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self._exact is None or (Decimal(str(value)) - self._exact[0]) % self._exact[2] == 0

    def options(self) -> tuple[Scalar, ...] | None:
        """Return every value in the order in which they were typed, None if there are infinitely many."""
        if self._exact is None:
            return None
        numbers = self._members(range(self.count() or 0))
        return numbers[::-1] if self.is_falling else numbers

    def _members(self, places: Iterable[int]) -> tuple[int | float, ...]:
        """Return the values at these places, counted from 0 at the lowest one."""
        assert self._exact is not None
        low, _, step = self._exact
        number = int if self.is_whole else float
        return tuple(number(low + place * step) for place in places)

    def samples(self) -> tuple[Scalar, ...]:
        """Return a few values that represent all: both ends, and one in between."""
        count = self.count()
        if count is not None:
            return self._members((0, count // 2, count - 1))
        middle = (self.low + self.high) / 2
        return (self.low, int(middle) if self.is_whole else middle, self.high)

    def value(self, option: Scalar) -> Any:
        return option

    def typed(self, low: float | None = None, high: float | None = None, whole: bool | None = None) -> str:
        """Return the override that describes this interval, or one with other bounds."""
        low, high = self.low if low is None else low, self.high if high is None else high
        whole = self.is_whole if whole is None else whole
        bounds = f"{math.ceil(low)},{math.floor(high)}" if whole else f"{_plain(low)},{_plain(high)}"
        text = f"int(interval({bounds}))" if whole else f"interval({bounds})"
        return f"tag(log,{text})" if self.log else text

    def __str__(self) -> str:
        bounds = f"{_plain(self.low)} to {_plain(self.high)}"
        return bounds + (f" in steps of {_plain(self.step)}" if self.step else "") + (" (log)" if self.log else "")


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        name: a key's dotted name, or a config group.
        names: the study's name for each value: the value itself, or a string for a list.
        values: the values.
    """

    name: str
    names: tuple[Scalar, ...]
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise ConfigError(f"{self.name}: there is nothing to choose from; give at least one value")

    def count(self) -> int:
        return len(self.names)

    def options(self) -> tuple[Scalar, ...]:
        return self.names

    def samples(self) -> tuple[Scalar, ...]:
        return self.names

    def value(self, option: Scalar) -> Any:
        return self.values[self.names.index(option)]

    def __str__(self) -> str:
        return ", ".join("null" if name is None else str(name) for name in self.names)


Dimension = Interval | Choice


def _plain(number: float) -> str:
    """Return the number as it would be typed: 0, 0.1, 1234567, 1e-05."""
    return str(number) if isinstance(number, int) else f"{number:.15g}"
