"""Hydra, made faster: what a composition has read and merged is kept for the next ones of the process.

A sweep composes a configuration for each combination of its groups, a pipeline one for each of its commands. Most of
what they read and merge is the same. A composition is a copy of what is kept, so nobody can change that.
"""

import copy
import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import InputDefault, ResultDefault
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf

MAX_MERGED = 16  # compositions that are kept; each takes half a megabyte

_read: dict[tuple[Hashable, ...], ConfigResult] = {}  # by source, path and version
_merged: dict[tuple[Hashable, ...], DictConfig] = {}  # by what was merged, the one that was used last at the end
_load_anew = ConfigRepository.load_config
_merge_anew = config_loader_impl.ConfigLoaderImpl._compose_config_from_defaults_list
_list_choices = defaults_list._create_interpolation_map


def reuse_configs() -> None:
    """Have Hydra use the functions of this module."""
    for owner, name, function in (
        (ConfigRepository, "load_config", _load),
        (config_loader_impl.ConfigLoaderImpl, "_compose_config_from_defaults_list", _merge),
        (config_loader_impl.ConfigLoaderImpl, "_embed_result_config", staticmethod(_embed)),
        (defaults_list, "_create_interpolation_map", _list_choices_if_needed),
        # Hydra copies its whole store at each composition, and at each look at a group's options: --help looks 115
        # times. What is read from the store is copied then, so nobody can change it.
        (ConfigStore.instance(), "__deepcopy__", lambda _: ConfigStore.instance()),
    ):
        setattr(owner, name, function)


def forget_configs() -> None:
    """Forget what was read, because an extension has declared more dataclasses."""
    _merged.clear()
    _read.clear()


# --- reading -------------------------------------------------------------------------------------------------------


def _load(self: ConfigRepository, config_path: str) -> ConfigResult | None:
    """Return a config as it was read before, unless it has changed."""
    source = self._find_object_source(config_path=config_path, object_type=ObjectType.CONFIG)
    version = None if source is None else _version(source, config_path)
    if source is None or version is None:
        return _load_anew(self, config_path)
    key = (type(source), source.provider, source.path, config_path, version)
    if key not in _read:
        loaded = _load_anew(self, config_path)
        assert loaded is not None
        _read[key] = loaded
    return _read[key]


def _version(source: ConfigSource, config_path: str) -> Hashable:
    """Return what changes whenever a config does, None where that is not known."""
    if version := getattr(source, "version", None):
        return version(config_path)
    if source.scheme() == "structured":
        return id(ConfigStore.instance()._load(source._normalize_file_name(config_path)).node)
    return "of the installed package" if source.provider == "hydra" else None


# --- merging -------------------------------------------------------------------------------------------------------


def _merge(self: Any, defaults: list[ResultDefault], repo: Any) -> DictConfig:
    """Return what the files of a defaults list are merged to, without the overrides."""
    results = [repo.load_config(str(default.config_path)) for default in defaults]
    kept = {id(result) for result in _read.values()}
    if not all(id(result) in kept for result in results):
        return _merge_anew(self, defaults, repo)
    key = tuple(
        (default.config_path, default.package, default.primary, id(result))
        for default, result in zip(defaults, results, strict=True)
    )
    merged = _merged.pop(key, None)
    if merged is None:
        merged = _merge_anew(self, defaults, repo)
    _merged[key] = merged
    if len(_merged) > MAX_MERGED:
        del _merged[next(iter(_merged))]
    return copy.deepcopy(merged)


def _embed(result: ConfigResult, package_override: str | None) -> ConfigResult:
    """Put a copy of a config under the key of its package: merging takes its nodes."""
    package = result.header["package"] if package_override is None else package_override
    config = copy.deepcopy(result.config)
    if package:
        inner, config = config, OmegaConf.create(flags={"no_deepcopy_set_nodes": True})
        OmegaConf.update(config, package, inner, merge=False)
        config._set_flag("no_deepcopy_set_nodes", None)
    return dataclasses.replace(result, config=config)


def _list_choices_if_needed(overrides: Any, defaults: Sequence[InputDefault], self_added: bool) -> DictConfig:
    """Return all options chosen so far if a defaults list contains a `${...}`, which few do."""
    if any(default.is_interpolation() for default in defaults):
        return _list_choices(overrides, list(defaults), self_added)
    return OmegaConf.create()
