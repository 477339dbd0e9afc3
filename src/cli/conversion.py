"""Turn what Hydra composes, or what a run has stored, into dataclasses with checked values."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, ListConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src import schema
from src.cli.choosing import choose_settings
from src.cli.conf import conf_folders
from src.cli.mistakes import did_you_mean, explain, nothing_after
from src.errors import ConfigError
from src.places import read_variable
from src.redact import ENV_REFERENCE, PUBLIC_VARIABLES, hide, hide_password

Settings = TypeVar("Settings", bound=schema.ArtConfig)


def config_from_dict(resolved: dict[str, Any]) -> schema.Config:
    """Return the config whose resolved values are given, as a run keeps them in `config/config.yaml`.

    Raises:
        ConfigError: a key that no config has, a value of another type, or a kind of model, data set or optimizer that
            does not exist.
    """
    try:
        return cast(schema.Config, _to_object(typed_config(_literal(resolved))))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error


def with_stored(config: Settings, stored: Mapping[str, Any]) -> Settings:
    """Return a config with the values that a run has stored, except those of the store, which stay as they are.

    Raises:
        ConfigError: a key that the config does not have, or a value that is not allowed.
    """
    try:
        base = OmegaConf.structured(type(config))
        base.tracking = OmegaConf.structured(config.tracking)
        values = {key: value for key, value in stored.items() if key != "tracking"}
        return cast(Settings, _to_object(OmegaConf.merge(base, _literal(values))))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error


def typed_config(tree: dict[str, Any]) -> DictConfig:
    """Return a configuration whose nodes have types, with these values; missing ones and interpolations are kept.

    Raises:
        ConfigError: a kind of model, data set or optimizer that does not exist.
        OmegaConfBaseException: a key that no config has, or a value of another type.
    """
    base = OmegaConf.structured(schema.Config)
    for group in schema.RUN_GROUPS:
        node = tree.get(group) or {}
        schema.require(isinstance(node, dict), group, node, "a mapping")
        base[group] = OmegaConf.structured(schema.kind_of(group, node))
    merged = OmegaConf.merge(base, tree)
    assert isinstance(merged, DictConfig)
    return merged


def _literal(value: Any) -> Any:
    """Return the same tree in which no string is an interpolation: a stored config reads nothing of this machine."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    return value


def to_dataclass(composed: DictConfig | ListConfig, prefix: str = "") -> Any:
    """Return the composed configuration as checked dataclasses; values from the environment are noted as secrets.

    Settings that are null get the values that suit the images, in `composed` too.

    Args:
        composed: what Hydra composed, or a part of it.
        prefix: the dotted name of that part with a trailing dot, empty for all of it.

    Raises:
        ConfigError: a value that is not allowed, or an empty string.
    """
    hide_environment(composed)
    _tidy_values(composed, prefix, {})
    if isinstance(composed, DictConfig):
        choose_settings(composed)
    config = _to_object(composed)
    if isinstance(dataset := getattr(config, "dataset", None), schema.DatasetConfig):
        config.dataset = dataset.named()
    return config


def _tidy_values(values: DictConfig | ListConfig, prefix: str, metadata: Mapping[str, Any]) -> None:
    """Trim paths and addresses, and raise ConfigError for an empty string where a value is expected.

    Args:
        values: typed nodes; the metadata of their fields says what they hold.
        prefix: their dotted name with a trailing dot.
        metadata: that of the field that holds `values`.
    """
    kind = OmegaConf.get_type(values)
    fields = (
        {field.name: field.metadata for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    )
    if values._is_none() or values._is_missing() or values._is_interpolation():
        return
    keys: list[Any] = list(values.keys() if isinstance(values, DictConfig) else range(len(values)))
    for key in keys:
        node, of_field = values._get_node(key), fields.get(key, metadata)
        if isinstance(node, DictConfig | ListConfig):
            _tidy_values(node, f"{prefix}{key}.", of_field)
        elif isinstance(node, Node) and isinstance(written := node._value(), str):
            if schema.FREE.items() <= of_field.items():
                continue
            if schema.PLACE.items() <= of_field.items() and written != written.strip():
                node._set_value(written.strip())
            if isinstance(value := _resolved(node), str) and not value.strip():
                raise ConfigError(nothing_after(f"{prefix}{key}", node, "an empty string"))


def _resolved(node: Node) -> Any:
    """Return the value of a node; None for an interpolation that cannot be resolved, which is reported elsewhere."""
    with contextlib.suppress(OmegaConfBaseException):
        found = node._maybe_dereference_node(throw_on_resolution_failure=True)
        return None if found is None else found._value()
    return None


def _to_object(composed: DictConfig | ListConfig) -> Any:
    try:
        config = OmegaConf.to_object(composed)
    except schema.WrongKind as error:
        raise ConfigError(f"{error.what}; {_remedy(error)}") from error
    if tracking := getattr(config, "tracking", None):
        hide_password(tracking.uri)
    _refuse_unknown(config, "")
    return config


def hide_environment(composed: DictConfig | ListConfig) -> None:
    """Note the values that are taken from environment variables as secrets."""
    for name in ENV_REFERENCE.findall(" ".join(_written(composed))):
        if name not in PUBLIC_VARIABLES:
            hide(read_variable(name) or "")


def _written(node: Node) -> Iterator[str]:
    """Yield the strings in a configuration as they were written, with their interpolations."""
    content = node._value()
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for item in content.values() if isinstance(content, dict) else content:
            yield from _written(item)


def _refuse_unknown(value: Any, prefix: str) -> None:
    """Raises ConfigError for a key that a plus sign brought in."""
    if not dataclasses.is_dataclass(value):
        return
    known = sorted(field.name for field in dataclasses.fields(value))
    for key, item in vars(value).items():
        if key not in known:
            raise ConfigError(f"no key {prefix + key!r}{did_you_mean(key, known)}")
        for index, inner in enumerate(item) if isinstance(item, list) else ():
            _refuse_unknown(inner, f"{prefix}{key}.{index}.")
        _refuse_unknown(item, f"{prefix}{key}.")


def _remedy(error: schema.WrongKind) -> str:
    """Return what to type instead of the key that names a kind: the options of that kind."""
    group = error.group
    files = [path for folder in conf_folders() for path in sorted((folder / group.option).glob("*.yaml"))]
    options = {path.stem: path.read_text(encoding="utf-8") for path in files}
    fitting = [name for name, text in options.items() if f"/schema/{group.name}/{error.received}@" in text]
    if not fitting:
        return f"choose with {group.option}=NAME{did_you_mean(str(error.received), list(options))}"
    choices = " or ".join(f"{group.option}={name}" for name in fitting)
    return f"choose {choices}, or remove `{group.dotted}.{group.key}`"
