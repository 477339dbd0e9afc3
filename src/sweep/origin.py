"""The code and the packages that must be equal on all machines that work on a study."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

from src import tracking
from src.errors import ConfigError
from src.extensions import PARAM, extension_param, recorded_extensions

PACKAGES = ("tensorflow", "keras", "numpy", "pillow")  # compute the results
NAMES = {PARAM: "extensions"}  # of keys in messages


def origin() -> dict[str, str]:
    """Return what must be equal on all machines that work on a study: the code and the packages that decide results."""
    return {"code": tracking.result_code_digest(), **{name: version(name) for name in PACKAGES}, **extension_param()}


def check_origin(name: str, then: Mapping[str, str]) -> None:
    """Raise ConfigError if this machine has other code or packages than those that train the study's trials."""
    now = origin()
    if changes := describe_changes(then, now):
        remedy = "Install what the other machines have"
        if PARAM in then and PARAM not in now:
            names = ",".join(recorded_extensions(then))
            remedy = f"Type `extensions=[{names}]` behind the name of the study"
        raise ConfigError(f"{platform.node()} cannot work on the study {name!r}, because it has {changes}. {remedy}")


def describe_changes(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return `code 0123 instead of 4567; keras 3.12 instead of 3.11`; empty if the origins are equal."""
    differing = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    return "; ".join(
        f"{NAMES.get(key, key)} {_short(now.get(key))} instead of {_short(then.get(key))}" for key in differing
    )


def _short(value: str | None) -> str:
    return "none" if value is None else value[:12]
