"""Hydra's doors to this project: the sweep, and the dataclasses behind `conf/`.

Hydra imports this module at every start, so what is behind the doors is imported late.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class ConvlabSweeper(Sweeper):
    """`hydra/sweeper=optuna` and `hydra/sweeper=grid`; its settings are `hydra.sweeper.*`."""

    def __init__(self, **settings: Any) -> None:
        """Hydra hands over the settings here and, whole, in `setup`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.master = hydra_context.config_loader, config

    def sweep(self, arguments: Sequence[str]) -> Any:
        """Plans the sweep that was typed, then runs it."""
        from src.space.planning import plan_sweep

        plan = plan_sweep(self.loader, self.master, arguments)
        from src.sweep import run_study

        return run_study(plan)


class ConvlabSchemas(ConfigSource):
    """The dataclasses of `src.schema` as the configs `schema/...`; each becomes a node when one asks for it.

    Hydra's `ConfigStore` would make all of them at every start, and copy all of them at every composition. None is
    listed: they stand beside the options and not among them, and nobody chooses one.
    """

    @staticmethod
    def scheme() -> str:
        return "convlab"

    def load_config(self, config_path: str) -> ConfigResult:
        kind = self._kinds().get(config_path.removesuffix(".yaml"))
        if kind is None:
            raise ConfigLoadError(f"no schema {config_path!r}")
        node = OmegaConf.structured(kind)
        if "tags" in node:
            OmegaConf.set_struct(node.tags, False)  # so that tags.owner=ada needs no plus sign
        return ConfigResult(provider=self.provider, path=self.full_path(), config=node, header={"package": None})

    def is_config(self, config_path: str) -> bool:
        return config_path.removesuffix(".yaml") in self._kinds()

    def is_group(self, config_path: str) -> bool:
        return any(name.startswith(config_path.rstrip("/") + "/") for name in self._kinds())

    def available(self) -> bool:
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return []

    @staticmethod
    def _kinds() -> dict[str, type]:
        from src import schema

        grouped = schema.SCHEMAS | schema.SWEEPER_SCHEMAS
        return {f"schema/{name}": kind for name, kind in schema.PRIMARY.items()} | {
            f"schema/{group}/{name}": kind for group, kinds in grouped.items() for name, kind in kinds.items()
        }


class ConvlabSearchPath(SearchPathPlugin):
    """Puts the dataclasses on the search path of every configuration."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("convlab", "convlab://")
