"""The groups of a configuration, the commands' configurations, and the dotted names of their leaves."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from src.schema.art import DreamConfig, StyleConfig
from src.schema.checks import ADDED, NEUTRAL, REQUEST
from src.schema.find_lr import FindLrConfig
from src.schema.kinds import REGISTRY, Kind, find_kind
from src.schema.pipelines import BestOfSweepConfig, CompareModelsConfig, CrossValidateConfig, ReproduceConfig
from src.schema.run import Config
from src.schema.verbs import (
    CheckDataConfig,
    DoctorConfig,
    EvaluateConfig,
    ExplainConfig,
    ExportConfig,
    PredictConfig,
    RegisterConfig,
    ServeConfig,
    SummaryConfig,
    UiConfig,
)

PRIMARY: dict[str, type] = {  # each command's configuration, a file of conf/
    "train": Config,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "export": ExportConfig,
    "find_lr": FindLrConfig,
    "predict": PredictConfig,
    "register": RegisterConfig,
    "serve": ServeConfig,
    "best_of_sweep": BestOfSweepConfig,
    "compare_models": CompareModelsConfig,
    "cross_validate": CrossValidateConfig,
    "reproduce": ReproduceConfig,
    "summary": SummaryConfig,
    "check_data": CheckDataConfig,
    "ui": UiConfig,
    "doctor": DoctorConfig,
    "dream": DreamConfig,
    "style": StyleConfig,
}
RUN_GROUPS = tuple(field.name for field in dataclasses.fields(Config) if field.name in REGISTRY)


def kind_of(group: str, settings: Mapping[str, Any]) -> type[Any]:
    """Return the config class of a group's stored settings.

    Raises:
        ConfigError: a kind that does not exist.
    """
    return find_kind(group, REGISTRY[group].kind_in(settings))


def as_tree(config: Any) -> dict[str, Any]:
    """Return the config as nested dicts and lists, which `config_from_dict` reads back, without requests."""
    requests = {field.name for field in dataclasses.fields(config) if REQUEST.items() <= field.metadata.items()}
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in requests}


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return every leaf by its dotted name, which is the same from the command line to the chart.

    `{"model.conv.0.filters": 6, "model.dense": [120, 84], ...}`

    Args:
        value: a config dataclass, or the dicts and lists of one. A list of plain values is one leaf.
        prefix: the dotted name of `value` itself.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = as_tree(value)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, item in value.items():
        leaves |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def is_place(name: str) -> bool:
    """Return whether a leaf changes no result: it says where things are, what they are called or how they are kept."""
    group, _, key = name.partition(".")
    if group not in ("dataset", "training"):
        return bool(key) and group in ("tracking", "tags")
    return any(
        field.name == key and NEUTRAL.items() <= field.metadata.items()
        for kind in REGISTRY[group].kinds.values()
        for field in dataclasses.fields(kind)
    )


def decisive_leaves(tree: Mapping[str, Any], unresolved: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the leaves that decide the result of a run, from which digests and comparisons of settings are made.

    Places are not among them. Neither are settings that were added after a release and have no effect: they have their
    default, which is what an earlier configuration without them means, or another setting leaves them without one.

    Args:
        tree: a run's configuration as nested dicts and lists.
        unresolved: the same configuration with its interpolations. A default that comes from another setting is among
            the leaves, because it may have another value in the next trial of a sweep.
    """
    added = set(_added_defaults(Config, tree if unresolved is None else unresolved))
    return {name: value for name, value in flatten(tree).items() if not (is_place(name) or name in added)}


def _added_defaults(kind: type[Any], settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the leaves that were added to a config class after a release and have their default."""
    types = typing.get_type_hints(kind)
    idle = kind.without_effect(settings) if issubclass(kind, Kind) else ()
    for field in dataclasses.fields(kind):
        if field.name not in settings:
            continue
        name, value = f"{prefix}{field.name}", settings[field.name]
        if field.name in idle or _is_added_default(kind, field, value):
            yield from flatten(value, name)
            continue
        items = {f"{name}.{index}": item for index, item in enumerate(value)} if isinstance(value, list) else {}
        for item_name, item in (items or {name: value}).items():
            if isinstance(item, Mapping) and (inner := _class_of(types[field.name], item)):
                yield from _added_defaults(inner, item, f"{item_name}.")


def _is_added_default(kind: type[Any], field: dataclasses.Field[Any], value: Any) -> bool:
    if issubclass(kind, Kind) and field.name == kind.group.key:
        return value == kind.group.default
    if not ADDED.items() <= field.metadata.items():
        return False
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return value == (as_tree(default) if dataclasses.is_dataclass(default) else default)


def _class_of(hint: Any, settings: Mapping[str, Any]) -> type[Any] | None:
    """Return the config class of settings in a field of this type; None for a plain dict, and for an unknown kind."""
    for inner in (hint, *typing.get_args(hint)):
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            return inner.group.find(inner.group.kind_in(settings)) if issubclass(inner, Kind) else inner
    return None
