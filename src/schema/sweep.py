"""The settings of a sweep, `hydra.sweeper.*`."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args

from src.errors import ConfigError
from src.places import sqlite_file
from src.schema.checks import ADDED, FREE, PLACE, at_least, nearest, one_of, require
from src.schema.costs import COSTS
from src.schema.engines import EngineConfig, LocalEngineConfig
from src.schema.kinds import Group, Kind
from src.schema.metrics import Direction
from src.schema.objectives import check_objectives

SEED_STEP = 1_000_003  # between the seeds of two trials; a prime, so that studies with nearby seeds share none


@dataclass(kw_only=True)
class SamplerConfig(Kind, group=Group("sampler", key="name", home="src.study", parent="hydra.sweeper.")):
    """The settings that every sampler has: the Optuna object that proposes the parameters of a trial."""

    name: str = ""  # the kind
    seed: int = 1
    is_exhaustive: ClassVar[bool] = False  # runs every combination of a grid and proposes nothing
    needs_package: ClassVar[str | None] = None  # which this project does not install
    needs_numbers: ClassVar[bool] = False  # cannot search a space that has only choices
    supports_constraints: ClassVar[bool] = True  # copes with trials that are not trained because they cost too much
    takes_objectives: ClassVar[bool] = True  # can optimize several objectives at once

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.seed < 2**32, "hydra.sweeper.sampler.seed", self.seed, "an integer from 0 to 4294967295")
        at_least(1, "hydra.sweeper.sampler.n_startup_trials", getattr(self, "n_startup_trials", None))

    def arguments(self, trials: int) -> dict[str, Any]:
        """Return the arguments of what `builds` names, for a study that has this many trials."""
        return self.settings() | {"seed": self.seed_after(trials)}

    def seed_after(self, trials: int) -> int:
        """Return another seed for each trial, the same one whenever the study is run again from the start."""
        return (self.seed + SEED_STEP * trials) % 2**32


@dataclass(kw_only=True)
class RandomConfig(SamplerConfig, kind="random", builds="optuna.samplers:RandomSampler"):
    """Independent random values."""


@dataclass(kw_only=True)
class GridConfig(SamplerConfig, kind="grid", builds="optuna.samplers:RandomSampler"):
    """Every combination. All trials are enqueued, so the sampler that is built is never asked."""

    is_exhaustive: ClassVar[bool] = True


@dataclass(kw_only=True)
class TPEConfig(SamplerConfig, kind="tpe", builds="optuna.samplers:TPESampler"):
    """The tree-structured Parzen estimator (Bergstra et al. 2011)."""

    n_startup_trials: int = 10
    n_ei_candidates: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, "hydra.sweeper.sampler.n_ei_candidates", self.n_ei_candidates)


@dataclass(kw_only=True)
class QMCConfig(SamplerConfig, kind="qmc", builds="src.study.sampling:qmc_sampler"):
    """A quasi-Monte Carlo sequence, which fills the space more evenly than random values."""

    qmc_type: str = "sobol"
    scramble: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("sobol", "halton"), "hydra.sweeper.sampler.qmc_type", self.qmc_type)

    def arguments(self, trials: int) -> dict[str, Any]:
        """The sequence has one seed; only what is drawn apart from it has another seed for each trial."""
        return self.settings() | {"seed": self.seed, "independent_seed": self.seed_after(trials)}


@dataclass(kw_only=True)
class CmaEsConfig(SamplerConfig, kind="cmaes", builds="optuna.samplers:CmaEsSampler"):
    """The evolution strategy CMA-ES (Hansen 2016)."""

    n_startup_trials: int = 1
    needs_numbers: ClassVar[bool] = True
    supports_constraints: ClassVar[bool] = False
    takes_objectives: ClassVar[bool] = False

    def arguments(self, trials: int) -> dict[str, Any]:
        return super().arguments(trials) | {"warn_independent_sampling": False}


@dataclass(kw_only=True)
class GPConfig(SamplerConfig, kind="gp", builds="optuna.samplers:GPSampler"):
    """Bayesian optimization with a Gaussian process."""

    n_startup_trials: int = 10
    needs_package: ClassVar[str | None] = "torch"

    def arguments(self, trials: int) -> dict[str, Any]:
        return super().arguments(trials) | {"warn_independent_sampling": False}


@dataclass(kw_only=True)
class NSGAIIConfig(SamplerConfig, kind="nsgaii", builds="optuna.samplers:NSGAIISampler"):
    """The genetic algorithm NSGA-II (Deb et al. 2002); its first generation is random."""

    population_size: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(2, "hydra.sweeper.sampler.population_size", self.population_size)


@dataclass(kw_only=True)
class PrunerConfig(Kind, group=Group("pruner", key="name", home="src.study", parent="hydra.sweeper.")):
    """The settings that every pruner has: the Optuna object that ends unpromising trials early."""

    name: str = ""  # the kind
    ends_trials: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, least in (
            ("n_startup_trials", 0),
            ("n_warmup_steps", 0),
            ("interval_steps", 1),
            ("n_min_trials", 1),
            ("min_resource", 1),
            ("max_resource", 1),
            ("reduction_factor", 2),
            ("min_early_stopping_rate", 0),
            ("bootstrap_count", 0),
            ("patience", 0),
            ("min_delta", 0),
        ):
            at_least(least, f"hydra.sweeper.pruner.{key}", getattr(self, key, None))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of what `builds` names; a resource that is null is found out from the first trials."""
        return {
            key: "auto" if value is None and key in ("min_resource", "max_resource") else value
            for key, value in self.settings().items()
        }


@dataclass(kw_only=True)
class NoPrunerConfig(PrunerConfig, kind="none", builds="optuna.pruners:NopPruner"):
    """Every trial trains to its end."""

    ends_trials: ClassVar[bool] = False


@dataclass(kw_only=True)
class MedianConfig(PrunerConfig, kind="median", builds="optuna.pruners:MedianPruner"):
    """Ends a trial that is worse than the median of earlier trials at the same epoch."""

    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = 1


@dataclass(kw_only=True)
class PercentileConfig(MedianConfig, kind="percentile", builds="optuna.pruners:PercentilePruner"):
    """Ends a trial that is not among the best `percentile` percent of earlier trials at the same epoch."""

    percentile: float = 25.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.percentile <= 100, "hydra.sweeper.pruner.percentile", self.percentile, "from 0 to 100")


@dataclass(kw_only=True)
class HyperbandConfig(PrunerConfig, kind="hyperband", builds="optuna.pruners:HyperbandPruner"):
    """Hyperband (Li et al. 2018)."""

    min_resource: int = 1
    max_resource: int | None = None  # epochs; null: found out from the first trials
    reduction_factor: int = 3
    bootstrap_count: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_resource is not None and self.max_resource < self.min_resource:
            raise ConfigError(
                f"hydra.sweeper.pruner.max_resource: {self.max_resource} is less than min_resource={self.min_resource}"
                "; give the epochs of a whole training, or null"
            )
        if self.bootstrap_count and self.max_resource is None:
            raise ConfigError(
                "hydra.sweeper.pruner.bootstrap_count: without a max_resource of your own it must be 0; "
                "set hydra.sweeper.pruner.max_resource too"
            )


@dataclass(kw_only=True)
class SuccessiveHalvingConfig(PrunerConfig, kind="successive_halving", builds="optuna.pruners:SuccessiveHalvingPruner"):
    """Asynchronous successive halving (Li et al. 2020)."""

    min_resource: int | None = None  # epochs; null: found out from the first trials
    reduction_factor: int = 4
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bootstrap_count and self.min_resource is None:
            raise ConfigError(
                "hydra.sweeper.pruner.bootstrap_count: without a min_resource of your own it must be 0; "
                "set hydra.sweeper.pruner.min_resource too"
            )


@dataclass(kw_only=True)
class PatientConfig(PrunerConfig, kind="patient", builds="src.study.sampling:patient_pruner"):
    """Ends a trial after `patience` epochs without an improvement of more than `min_delta`."""

    patience: int = 2
    min_delta: float = 0.0


@dataclass(kw_only=True)
class ThresholdConfig(PrunerConfig, kind="threshold", builds="optuna.pruners:ThresholdPruner"):
    """Ends a trial whose value is below `lower` or above `upper`."""

    lower: float | None = None
    upper: float | None = None
    n_warmup_steps: int = 0
    interval_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        lower, upper = self.lower, self.upper
        if lower is None and upper is None:
            raise ConfigError("hydra.sweeper.pruner: threshold needs a bound; set hydra.sweeper.pruner.lower or .upper")
        for key, value in (("lower", lower), ("upper", upper)):
            require(value is None or math.isfinite(value), f"hydra.sweeper.pruner.{key}", value, "a finite number")
        if lower is not None and upper is not None and lower > upper:
            raise ConfigError(f"hydra.sweeper.pruner.lower: {lower:g} is above upper={upper:g}; swap them")


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
