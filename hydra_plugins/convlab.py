"""The parts of this project that Hydra loads: the sweeper, and the dataclasses that type the files of `conf/`.

Hydra imports this module at every start, also for --help, so what only a sweep needs is imported by the sweep.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig, OmegaConf

from src import schema
from src.extensions import loaded_extensions

FREE_KEYS = {"tags", "layers", "style_layers"}  # mappings whose keys a user chooses


class ConvlabSweeper(Sweeper):
    """`hydra/sweeper=optuna` and `hydra/sweeper=grid`; its settings are `hydra.sweeper.*`."""

    def __init__(self, **settings: Any) -> None:
        """Take the sweeper's settings; `setup` gets the whole configuration."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.master = hydra_context.config_loader, config

    def sweep(self, arguments: Sequence[str]) -> Any:
        """Plans the sweep that was typed, then runs it."""
        from src.space.planning import plan_sweep

        plan = plan_sweep(self.loader, self.master, arguments)
        from src.sweep import run_study, submit

        return submit(plan) if plan.settings.detach else run_study(plan)


class ConvlabSchemas(ConfigSource):
    """The dataclasses of `src.schema` as the configs `schema/...`; a node is created on demand.

    Hydra's `ConfigStore` would make all of them at every start, and copy all of them at every composition. None is
    listed, because they are not options to choose from.
    """

    @staticmethod
    def scheme() -> str:
        return "convlab"

    def load_config(self, config_path: str) -> ConfigResult:
        schema_class = _find_schema(config_path)
        if schema_class is None:
            raise ConfigLoadError(f"no schema {config_path!r}")
        node = _node_of(schema_class)
        for name in FREE_KEYS & set(node):
            if isinstance(keys := node[name], DictConfig):  # `layers` of other commands is a list
                OmegaConf.set_struct(keys, False)  # so that tags.owner=ada needs no plus sign
        return ConfigResult(provider=self.provider, path=self.full_path(), config=node, header={"package": None})

    def version(self, config_path: str) -> type | None:
        """Return the dataclass: an extension may declare another one of the same name."""
        return _find_schema(config_path)

    def is_config(self, config_path: str) -> bool:
        return _find_schema(config_path) is not None

    def is_group(self, config_path: str) -> bool:
        folder, _, group = config_path.rstrip("/").partition("/")
        return folder == "schema" and (not group or group in schema.REGISTRY)

    def available(self) -> bool:
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return []


def _node_of(schema_class: type) -> DictConfig:
    node = OmegaConf.structured(schema_class)
    for group in schema.RUN_GROUPS if issubclass(schema_class, schema.Config) else ():
        node[group] = MISSING  # a group's default is of one kind, and OmegaConf would refuse to merge another
    if "engine" in node:
        node.engine = MISSING
    return node


def _find_schema(config_path: str) -> type | None:
    """Return the dataclass of `schema/COMMAND` or `schema/GROUP/KIND`, None for any other path."""
    folder, _, name = config_path.removesuffix(".yaml").partition("/")
    group, _, kind = name.rpartition("/")
    if folder != "schema":
        return None
    if not group:
        return schema.PRIMARY.get(kind)
    return schema.REGISTRY[group].find(kind) if group in schema.REGISTRY else None


class ConvlabSearchPath(SearchPathPlugin):
    """Puts the dataclasses and the folders of extensions on the search path of every configuration."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("convlab", "convlab://")
        for extension in loaded_extensions():
            if extension.conf:
                search_path.append(extension.name, f"file://{extension.conf}")
