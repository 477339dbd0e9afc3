"""The groups of a configuration, the commands' configurations, and the dotted names of their leaves."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from src.schema.checks import FILE_NAME
from src.schema.kinds import REGISTRY, find_kind
from src.schema.pipelines import BestOfSweepConfig, CompareModelsConfig, ReproduceConfig
from src.schema.run import Config
from src.schema.verbs import EvaluateConfig, ExplainConfig, PredictConfig, RegisterConfig, SummaryConfig, UiConfig

PRIMARY: dict[str, type] = {  # each command's configuration, a file of conf/
    "train": Config,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "predict": PredictConfig,
    "register": RegisterConfig,
    "best_of_sweep": BestOfSweepConfig,
    "compare_models": CompareModelsConfig,
    "reproduce": ReproduceConfig,
    "summary": SummaryConfig,
    "ui": UiConfig,
}
RUN_GROUPS = tuple(field.name for field in dataclasses.fields(Config) if field.name in REGISTRY)


def kind_of(group: str, settings: Mapping[str, Any]) -> type[Any]:
    """Return the config class of a group's stored settings.

    Raises:
        ConfigError: a kind that does not exist.
    """
    key = REGISTRY[group].key
    return find_kind(group, settings.get(key) if key else group)


def as_tree(config: Any) -> dict[str, Any]:
    """Return the config as nested dicts and lists, which `config_from_dict` reads back."""
    return dataclasses.asdict(config)


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
    """Return whether a leaf only says where things are or what they are called, which changes no result."""
    group, _, key = name.partition(".")
    if group != "dataset":
        return bool(key) and group in ("tracking", "tags")
    return any(
        field.name == key and FILE_NAME.items() <= field.metadata.items()
        for kind in REGISTRY[group].kinds.values()
        for field in dataclasses.fields(kind)
    )
