"""Hydra's door to the sweep. Hydra imports this module at every start, so what is behind the door is imported late."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


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
