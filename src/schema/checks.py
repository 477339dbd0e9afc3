"""Checks of single values, and the size arithmetic that several configs share."""

import math
import os
from pathlib import Path

from src.errors import ConfigError

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: the microseconds that it gets of each period, or max

# The metadata of fields
PLACE = {"holds": "place"}  # a path or an address, which the functions of `src.places` read
FREE = {"holds": "anything"}  # an empty string too


def require(holds: bool, name: str, received: object, expected: str) -> None:
    """Raises ConfigError with what came and what was expected, unless the condition holds."""
    if not holds:
        raise ConfigError(f"{name}: got {received!r}, expected {expected}")


def at_least(least: float, name: str, value: float | None) -> None:
    require(value is None or (math.isfinite(value) and value >= least), name, value, f"at least {least}")


def one_of(choices: tuple[str, ...], name: str, value: str) -> None:
    require(value in choices, name, value, "one of " + ", ".join(choices))


def output_size(size: int, window: int, strides: int, padding: str) -> int:
    """One side of a map after a convolution or pooling: floor((n - f) / s) + 1, with `same` padding ceil(n / s)."""
    if padding == "same":
        return math.ceil(size / strides)
    return (size - window) // strides + 1


def cores() -> int:
    """How many cores this process may use, of the machine's and of its container's share."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text().split()
    except OSError:
        return count
    return count if quota == "max" else min(count, math.ceil(int(quota) / int(period)))
