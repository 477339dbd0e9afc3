"""Checks of single values, and the size arithmetic that several configs share."""

import math
import os

from src.errors import ConfigError


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
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
