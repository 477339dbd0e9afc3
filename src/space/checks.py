"""Checks that the swept keys exist and accept the values that are searched."""

import copy
from typing import Any

from omegaconf import DictConfig, IntegerNode, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.compose import node_of
from src.cli.conversion import to_dataclass
from src.cli.mistakes import SHORTER_LIST, did_you_mean, explain, nothing_after
from src.errors import ConfigError
from src.schema import Dimension, Interval, Scalar
from src.space.space import Space, has_key


def check_key(space: Space, key: Dimension) -> None:
    """Raises ConfigError if no configuration has the key, or if one that has it does not accept the values."""
    configs = [config for base in space.bases.values() for config in _with_parents(base, space, key)]
    configs = [config for config in configs if has_key(config, key.name)]
    if not configs:
        raise ConfigError(_no_such_key(next(iter(space.bases.values())), key.name))
    for config in _distinct(configs, key.name):
        for option in key.samples():
            _check_value(config, key, option)
            _check_range(config, key, option)


def _with_parents(base: DictConfig, space: Space, key: Dimension) -> list[DictConfig]:
    """Return the configuration, and its variants with each searched value of a list that the key is an item of."""
    configs = [base]
    for parent in space.keys:
        if key.name.startswith(f"{parent.name}."):
            for option in parent.options() or ():
                config = copy.deepcopy(base)
                OmegaConf.update(config, parent.name, parent.value(option))
                configs.append(config)
    return configs


def _distinct(configs: list[DictConfig], name: str) -> list[DictConfig]:
    """Return one configuration for each variant of the group of a key: optimizers do not differ between networks."""
    group, dot, _ = name.partition(".")
    variants: dict[tuple[Any, ...], DictConfig] = {}
    for index, config in enumerate(configs):
        part = OmegaConf.select(config, group) if dot else config
        text = repr(OmegaConf.to_container(part)) if dot else "${"
        is_tied = "${" in text  # to other parts of the configuration
        variants.setdefault((OmegaConf.get_type(part), text, index if is_tied else None), config)
    return list(variants.values())


def _no_such_key(config: DictConfig, name: str) -> str:
    """Return the message for a key that does not exist, about the first part of its name that is wrong."""
    steps = name.split(".")
    depth = next(depth for depth in range(len(steps)) if not has_key(config, ".".join(steps[: depth + 1])))
    parent: Any = OmegaConf.select(config, ".".join(steps[:depth])) if depth else config
    if isinstance(parent, ListConfig):
        return f"no item {name!r}: {SHORTER_LIST}"
    known = sorted(str(key) for key in parent) if isinstance(parent, DictConfig) else []
    return f"no key {name!r}{did_you_mean(steps[depth], known)}"


def _has_empty_string(value: Any) -> bool:
    """Return whether the value, or an item of it, is an empty string."""
    if isinstance(value, list | dict):
        return any(map(_has_empty_string, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and not value.strip()


def _with_value(config: DictConfig, name: str, value: Any) -> Any:
    """Return a copy of the group of a key with a value; of the whole configuration if the key is in no group."""
    group, dot, inner = name.partition(".")
    trial = copy.deepcopy(OmegaConf.select(config, group) if dot else config)  # the copy of a group keeps its parent
    OmegaConf.update(trial, inner if dot else name, value)
    return trial


def _check_value(config: DictConfig, key: Dimension, option: Scalar) -> None:
    value = key.value(option)
    if _has_empty_string(value) and not key.name.startswith("tags."):
        raise ConfigError(nothing_after(key.name, node_of(config, key.name), "an empty string as one of its values"))
    try:
        _with_value(config, key.name, value)
    except OmegaConfBaseException as error:
        if isinstance(key, Interval) and isinstance(node_of(config, key.name), IntegerNode):
            remedy = "range(START,STOP,STEP) with integers" if key.step else key.typed(whole=True)
            raise ConfigError(f"{key.name}: expected integers; write {key.name}={remedy}") from error
        raise ConfigError(explain(error)) from error


def _check_range(config: DictConfig, key: Dimension, option: Scalar) -> None:
    """Raise ConfigError if a value is outside the range that its key has by itself.

    Whether several values fit together is known only when a trial has all of them; it fails if they do not. The ends of
    an interval without steps are hardly ever drawn, so an end may be the first number outside the range, such as 0.
    """
    error = _out_of_range(config, key.name, key.value(option))
    if error is not None and isinstance(key, Interval) and key.options() is None and not key.is_whole:
        margin = (key.high - key.low) * 1e-6
        inside = key.low + margin if option == key.low else key.high - margin
        error = error if _out_of_range(config, key.name, inside) else None
    if error is not None:
        raise error


def _out_of_range(config: DictConfig, name: str, value: Any) -> ConfigError | None:
    """Return what the schema of a key's group says about the range of a value; None if it is within it.

    A key without a group, such as `seed`, is checked by the schema of the whole configuration.
    """
    group, dot, _ = name.partition(".")
    if group == "tags" or (dot and not isinstance(config._get_node(group), DictConfig)):
        return None
    try:
        to_dataclass(_with_value(config, name, value), f"{group}." if dot else "")
    except ConfigError as error:
        return error if str(error).startswith(f"{name}: got ") else None
    except OmegaConfBaseException:  # such as a value that is missing
        return None
    return None
