"""Checks of single values, and the size arithmetic that several configs share."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Optional, TypeVar

from src.errors import ConfigError

# The metadata of fields; several are combined with |
PLACE = {"holds": "place"}  # a path or an address, which the functions of `src.places` read
FREE = {"holds": "anything"}  # an empty string too
NEUTRAL = {"changes_result": False}  # changes no result, such as the name of a file of the data
LOCATION = PLACE | NEUTRAL  # says where something is: the same images elsewhere give the same result
# Added after a release. A stored config without the field means the default, so the default must never change. A field
# that has it is not part of a digest, so studies, comparisons and finished runs of earlier versions are found again.
ADDED = {"is_added": True}
REQUEST = ADDED | {"is_request": True}  # asks this command for something, and is not a setting of the run

# The type of a field that may be null in a YAML file and on the command line. `src.cli.choosing` puts a value there
# before the dataclass is made, so a checked configuration and a stored one always have it.
if TYPE_CHECKING:
    Value = TypeVar("Value")
    Chosen = Annotated[Value, "null until it is chosen"]
else:
    Chosen = Optional

MIN_BEGINNING = 3  # characters; fewer are the beginning of many names


def require(holds: bool, name: str, received: object, expected: str) -> None:
    """Raises ConfigError with what came and what was expected, unless the condition holds."""
    if not holds:
        raise ConfigError(f"{name}: got {received!r}, expected {expected}")


def at_least(least: float, name: str, value: float | None) -> None:
    require(value is None or (math.isfinite(value) and value >= least), name, value, f"at least {least}")


def one_of(choices: tuple[str, ...], name: str, value: str) -> None:
    require(value in choices, name, value, "one of " + ", ".join(choices))


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that begins with a mistyped one or is most similar to it, None if none is similar."""
    import difflib  # only a mistake needs it

    longer = [other for other in known if len(name) >= MIN_BEGINNING and other.startswith(name)]
    return next(iter(longer or difflib.get_close_matches(name, known, n=1)), None)


def output_size(size: int, window: int, strides: int, padding: str) -> int:
    """One side of a map after a convolution or pooling: floor((n - f) / s) + 1, with `same` padding ceil(n / s)."""
    if padding == "same":
        return math.ceil(size / strides)
    return (size - window) // strides + 1
