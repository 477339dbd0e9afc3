"""The settings of a sweep, `hydra.sweeper.*`."""

import math
from dataclasses import dataclass, field
from typing import Any, get_args

from src.errors import ConfigError
from src.places import sqlite_file
from src.schema.checks import ADDED, FREE, PLACE, at_least, nearest, one_of, require
from src.schema.costs import COSTS
from src.schema.engines import EngineConfig, LocalEngineConfig
from src.schema.kinds import Group, Kind
from src.schema.metrics import Direction
from src.schema.objectives import check_objectives
from src.schema.pruners import PrunerConfig
from src.schema.samplers import SamplerConfig


@dataclass(kw_only=True)
class SweeperConfig(Kind, group=Group("sweeper", parent="hydra."), kind="sweeper"):
    """The settings of a sweep. Hydra finds the plugin by `_target_`."""

    _target_: str = "hydra_plugins.convlab.ConvlabSweeper"
    name: str
    sampler: SamplerConfig
    pruner: PrunerConfig
    engine: EngineConfig = field(default_factory=LocalEngineConfig)  # where the workers run
    detach: bool = False  # return when the workers are started; python -m src.sweep watch STUDY shows them
    direction: str | None = None  # null: follows training.monitor
    # What the trials are compared by, such as [val_accuracy, parameters]; empty: by training.monitor alone
    objectives: list[str] = field(default_factory=list, metadata=ADDED)
    # The most that a network may cost, such as {parameters: 100000}; one that costs more is not trained. null: no limit
    constraints: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(COSTS), metadata=ADDED)
    storage: str = field(default="sqlite:///optuna.db", metadata=PLACE)
    study_name: str | None = None  # null: the search's name and a digest of fixed config, space and data
    n_trials: int | None = None  # total number of trials of the study; null: every combination of a grid
    n_jobs: int = 1  # worker processes
    # GPUs of each worker, 0.5: two share one; null: one each, shared where there are fewer
    gpus_per_worker: float | None = field(default=None, metadata=ADDED)
    timeout: float | None = None  # seconds after which no further trial starts
    # The space: each name with its values, as they would be typed after the =
    params: dict[str, Any] = field(default_factory=dict, metadata=FREE)
    max_retries: int = 2  # of a trial whose worker is killed or crashes again and again
    max_failures: int = 10  # failed trials in a row that end the sweep
    enqueue_default: bool = False  # the first trial has the values of the configuration itself
    save_models: str = "best"
    save_best_as: str | None = None  # also save best.yaml as conf/experiment/NAME.yaml
    on_change: str = "error"

    @property
    def costs(self) -> list[str]:
        """The costs of a network that decide about its trial, in the order of their table."""
        return [name for name in COSTS if name in self.limits or name in self.objectives]

    @property
    def limits(self) -> dict[str, float]:
        """The limits of the costs that have one, in the order of their table."""
        return {name: limit for name in COSTS if (limit := self.constraints.get(name)) is not None}

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("n_trials", "n_jobs", "max_failures"):
            at_least(1, f"hydra.sweeper.{key}", getattr(self, key))
        at_least(0, "hydra.sweeper.max_retries", self.max_retries)
        gpus = self.gpus_per_worker
        is_share = gpus is None or 0 <= gpus < 1 or (math.isfinite(gpus) and gpus >= 1 and gpus == int(gpus))
        require(is_share, "hydra.sweeper.gpus_per_worker", gpus, "an integer, a fraction below 1 such as 0.5, or null")
        require(
            self.timeout is None or self.timeout > 0, "hydra.sweeper.timeout", self.timeout, "seconds above 0, or null"
        )
        require(
            self.direction in (None, *get_args(Direction)),
            "hydra.sweeper.direction",
            self.direction,
            f"one of {', '.join(get_args(Direction))}, null",
        )
        one_of(("best", "all", "none"), "hydra.sweeper.save_models", self.save_models)
        one_of(("error", "continue"), "hydra.sweeper.on_change", self.on_change)
        for key in ("study_name", "save_best_as"):
            value = getattr(self, key)
            allowed = value is None or (value.strip() and not set(value) & set("/\\"))
            require(bool(allowed), f"hydra.sweeper.{key}", value, "a name without slashes")
        self._check_constraints()
        if self.detach and not self.engine.can_detach:
            raise ConfigError(
                f"hydra.sweeper.detach=true: with hydra/sweeper/engine={self.engine.name} the workers end with this "
                "command; remove `hydra.sweeper.detach=true`, or choose the engine of a cluster"
            )
        if self.engine.is_remote:
            check_shared("hydra.sweeper.storage", self.storage, self.engine.name)
            require(
                self.gpus_per_worker is None,
                "hydra.sweeper.gpus_per_worker",
                self.gpus_per_worker,
                f"null, because hydra/sweeper/engine={self.engine.name} has settings of its own for GPUs",
            )
        if self.n_trials is None and not self.sampler.is_exhaustive:
            raise ConfigError(
                f"hydra.sweeper.n_trials: {self.sampler.name} never runs out of trials; give a number of trials"
            )
        if self.sampler.is_exhaustive and self.pruner.ends_trials:
            raise ConfigError(
                f"hydra/sweeper/pruner={self.pruner.name}: a grid trains each combination to its end; remove "
                f"`hydra/sweeper/pruner={self.pruner.name}`"
            )
        if self.objectives:
            self._check_objectives()

    def _check_objectives(self) -> None:
        """Raise ConfigError for objectives that do not exist, and for settings that need a single value."""
        check_objectives(self.objectives)
        sampler, pruner = self.sampler, self.pruner
        if self.direction is not None:
            raise ConfigError(
                f"hydra.sweeper.direction={self.direction}: each of hydra.sweeper.objectives has a direction of its "
                f"own; remove `hydra.sweeper.direction={self.direction}`"
            )
        if self.save_best_as is not None:
            raise ConfigError(
                f"hydra.sweeper.save_best_as={self.save_best_as}: with several objectives no single trial is the best; "
                f"remove `hydra.sweeper.save_best_as={self.save_best_as}`, and copy a recipe from front/ of the "
                "sweep's run"
            )
        if not sampler.takes_objectives:
            raise ConfigError(
                f"hydra/sweeper/sampler={sampler.name} optimizes a single value, not several objectives; use "
                "hydra/sweeper/sampler=tpe or nsgaii, or remove `hydra.sweeper.objectives`"
            )
        if pruner.ends_trials:
            raise ConfigError(
                f"hydra/sweeper/pruner={pruner.name}: a pruner compares one value after each epoch, and with several "
                "objectives there is none; use hydra/sweeper/pruner=none, or remove `hydra.sweeper.objectives`"
            )

    def _check_constraints(self) -> None:
        """Raise ConfigError if a limit has no cost or cannot be met, or if the sampler cannot work with limits."""
        for name, limit in self.constraints.items():
            if name not in COSTS:
                found = nearest(name, list(COSTS))
                guess = f"did you mean {found!r}? " if found else ""
                raise ConfigError(
                    f"hydra.sweeper.constraints: no cost {name!r}; {guess}the costs are {', '.join(COSTS)}"
                )
            is_limit = limit is None or (math.isfinite(limit) and limit > 0)
            require(is_limit, f"hydra.sweeper.constraints.{name}", limit, "a finite number above 0")
        if self.limits and not self.sampler.supports_constraints:
            raise ConfigError(
                f"hydra.sweeper.constraints: hydra/sweeper/sampler={self.sampler.name} learns from trained networks "
                "only, so it would propose networks over a limit again and again; use hydra/sweeper/sampler=tpe"
            )


def check_shared(key: str, address: str, engine: str) -> None:
    """Raise ConfigError if the workers of another machine cannot use this address."""
    if sqlite_file(address) is not None:
        raise ConfigError(
            f"{key}={address}: the workers of hydra/sweeper/engine={engine} run on other machines, which cannot share "
            "a SQLite file; use the address of a server"
        )
