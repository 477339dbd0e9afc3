"""Changes that may be typed with `resume=RUN`: places, and more epochs. Its own configuration has everything else."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.conversion import config_from_dict
from src.cli.mistakes import explain
from src.cli.strings import quote_strings
from src.errors import ConfigError
from src.schema import Config, as_tree, flatten, is_place

EPOCHS = "training.epochs"
KEPT = ("tracking.run_name", "tracking.experiment")  # places that a resumed run keeps
_RESUME = re.compile(r"resume=(?!null$).*", re.DOTALL)
# Typed for this command, not for the training: they are composed as in any other command.
_COMPOSED = re.compile(r"[+~]*((resume|on_change|output|local|extensions|hydra)(?![\w-])|tracking(=|\.(uri|enabled)=))")


def split_changes(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the overrides to compose, and those that change the configuration of an interrupted run.

    Without `resume=RUN` all overrides are composed.
    """
    if not any(map(_RESUME.fullmatch, overrides)):
        return list(overrides), []
    composed = [typed for typed in overrides if _COMPOSED.match(typed)]
    return composed, [typed for typed in overrides if typed not in composed]


def change_config(config: Config, changes: Sequence[str]) -> Config:
    """Return the configuration of an interrupted run with the places and the number of epochs that were typed.

    Raises:
        ConfigError: something else was typed, or a value does not fit.
    """
    tree = OmegaConf.create(as_tree(config))
    try:
        for override in OverridesParser.create().parse_overrides(quote_strings("train", changes)):
            key, typed = override.key_or_group, str(override.input_line)
            is_plain = not (override.is_sweep_override() or override.is_delete() or override.is_add())
            if not is_plain or not (is_place(key) or key == EPOCHS):
                raise ConfigError(
                    f"{typed}: a resumed run keeps its own settings; remove `{typed}`. Besides places, only {EPOCHS} "
                    "can be changed"
                )
            if key in KEPT:
                raise ConfigError(f"{typed}: a resumed run keeps its name and its experiment; remove `{typed}`")
            if OmegaConf.select(tree, key, default=_MISSING) is _MISSING and not key.startswith("tags."):
                raise ConfigError(f"{typed}: the run has no key {key!r}, {_places(config, key)}; remove `{typed}`")
            OmegaConf.update(tree, key, override.value())
        changed: Any = OmegaConf.to_container(tree)
        return config_from_dict(changed)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error


def _places(config: Config, key: str) -> str:
    """Return a sentence about the places that a configuration has in the group of a key."""
    group = key.partition(".")[0]
    places = [name for name in flatten(config) if name.startswith(f"{group}.") and is_place(name) and name not in KEPT]
    return f"but it has {', '.join(places)}" if places else f"and {group} has no paths"


_MISSING = object()
