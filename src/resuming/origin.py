"""The origin of a checkpoint: everything that decides the result of a training, compared with what it is now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src import tracking
from src.cli.changes import EPOCHS
from src.errors import CheckpointError
from src.places import local_path
from src.schema import Config

VERSIONS = ("tensorflow", "keras", "numpy")  # packages that compute the result
MAX_LISTED = 5  # differences in an error message


def origin(config: Config, data_digest: str) -> dict[str, Any]:
    """Return everything that decides a training's result, and the versions of the packages that compute it."""
    versions = {name: version(name) for name in VERSIONS}
    content = tracking.origin_of_result(config, data_digest) | {"versions": versions}
    return dict(json.loads(json.dumps(content)))


def keep_initial_weights(config: Config, then: Mapping[str, Any], now: dict[str, Any]) -> None:
    """Use the digest of the initial weights that a checkpoint names if their file is gone."""
    name, key = config.training.initial_weights, "training.initial_weights"
    if name and not local_path(name).is_file() and key in then.get("settings", {}):
        now["settings"][key] = then["settings"][key]


def check_origin(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any], on_change: str) -> list[str]:
    """Return the changes of code and packages since a checkpoint, which `on_change=continue` accepts.

    Raises:
        CheckpointError: there are changes that are not accepted, or the checkpoint belongs to another training.
    """
    settings = [
        f"{name} was {tracking.as_param(then.get('settings', {}).get(name))}, is {tracking.as_param(value)}"
        for name, value in now["settings"].items()
        if name != EPOCHS and then.get("settings", {}).get(name) != value
    ]
    if then.get("data") != now["data"]:
        settings.append(f"the data was {str(then.get('data'))[:12]}, is {now['data'][:12]} (SHA-256)")
    if settings:
        raise CheckpointError(f"the checkpoint in {folder} belongs to another training: {listed(settings)}")
    changes = [
        f"{name} was {then.get('versions', {}).get(name)}, is {value}"
        for name, value in now["versions"].items()
        if then.get("versions", {}).get(name) != value
    ]
    others = [name for name in {*then, *now} - {"settings", "data", "versions"} if then.get(name) != now.get(name)]
    changes += ["the code that decides results was changed" if name == "code" else f"{name} changed" for name in others]
    if changes and on_change != "continue":
        raise CheckpointError(
            f"since the checkpoint in {folder}: {listed(changes)}. Restore what changed, or resume anyway with "
            "on_change=continue"
        )
    return changes


def listed(differences: Sequence[str]) -> str:
    """Return the first differences on one line, and the number of the others."""
    more = len(differences) - MAX_LISTED
    return "; ".join(differences[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
