"""Whether the keys that are searched exist, and take the values that they are searched over."""

import copy
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.compose import node_of
from src.cli.mistakes import SHORTER_LIST, did_you_mean, explain, nothing_after
from src.errors import ConfigError
from src.schema import Dimension, Interval, Scalar
from src.space.space import Space, has_key


def check_key(space: Space, key: Dimension) -> None:
    """Raises ConfigError unless some configuration has the key, and each that has it takes the values."""
    homes = [config for base in space.bases.values() for config in _with_parents(base, space, key)]
    homes = [config for config in homes if has_key(config, key.name)]
    if not homes:
        raise ConfigError(_no_such_key(next(iter(space.bases.values())), key.name))
    for home in homes:
        for option in key.samples():
            _check_value(home, key, option)


def _with_parents(base: DictConfig, space: Space, key: Dimension) -> list[DictConfig]:
    """The configuration itself and, for an item of a list that is chosen too, with each of those lists."""
    found = [base]
    for parent in space.keys:
        if key.name.startswith(f"{parent.name}."):
            for option in parent.options() or ():
                config = copy.deepcopy(base)
                OmegaConf.update(config, parent.name, parent.value(option))
                found.append(config)
    return found


def _no_such_key(config: DictConfig, name: str) -> str:
    """The sentence for a name that leads nowhere, about the first step that is wrong."""
    steps = name.split(".")
    depth = next(depth for depth in range(len(steps)) if not has_key(config, ".".join(steps[: depth + 1])))
    parent: Any = OmegaConf.select(config, ".".join(steps[:depth])) if depth else config
    if isinstance(parent, ListConfig):
        return f"no item {name!r}: {SHORTER_LIST}"
    known = sorted(str(key) for key in parent) if isinstance(parent, DictConfig) else []
    return f"no key {name!r}{did_you_mean(steps[depth], known)}"


def _holds_nothing(value: Any) -> bool:
    """Return whether the value, or an item of it, is an empty string."""
    if isinstance(value, list | dict):
        return any(map(_holds_nothing, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and not value.strip()


def _check_value(home: DictConfig, key: Dimension, option: Scalar) -> None:
    trial = copy.deepcopy(home)
    value = key.value(option)
    if _holds_nothing(value) and not key.name.startswith("tags."):
        raise ConfigError(nothing_after(key.name, node_of(home, key.name), "an empty string as one of its values"))
    try:
        OmegaConf.update(trial, key.name, value)
    except OmegaConfBaseException as error:
        sentence = explain(error)
        if isinstance(key, Interval) and "expected a whole number" in sentence:
            remedy = "range(START,STOP,STEP) of whole numbers" if key.step else key.typed(whole=True)
            raise ConfigError(f"{key.name}: takes whole numbers; write {key.name}={remedy}") from error
        raise ConfigError(sentence) from error
