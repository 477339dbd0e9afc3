"""What a sweep may be told: `hydra.sweeper.*`."""

import math
from dataclasses import dataclass, field
from typing import Any

from src.errors import ConfigError
from src.schema.checks import FREE, PLACE, at_least, cores, one_of, require

MOST_JOBS_PER_CORE = 4  # more worker processes would only wait for each other


@dataclass(kw_only=True)
class SamplerConfig:
    """Who proposes the parameters of the next trial; field names are those of the Optuna sampler that `name` picks."""

    name: str
    seed: int = 1

    def __post_init__(self) -> None:
        _check_kind("sampler", SAMPLERS, self)
        require(0 <= self.seed < 2**32, "hydra.sweeper.sampler.seed", self.seed, "a whole number from 0 to 4294967295")
        at_least(1, "hydra.sweeper.sampler.n_startup_trials", getattr(self, "n_startup_trials", None))


@dataclass(kw_only=True)
class TPEConfig(SamplerConfig):
    n_startup_trials: int = 10
    n_ei_candidates: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, "hydra.sweeper.sampler.n_ei_candidates", self.n_ei_candidates)


@dataclass(kw_only=True)
class QMCConfig(SamplerConfig):
    qmc_type: str = "sobol"
    scramble: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("sobol", "halton"), "hydra.sweeper.sampler.qmc_type", self.qmc_type)


@dataclass(kw_only=True)
class CmaEsConfig(SamplerConfig):
    n_startup_trials: int = 1


@dataclass(kw_only=True)
class GPConfig(SamplerConfig):
    n_startup_trials: int = 10


@dataclass(kw_only=True)
class PrunerConfig:
    """Which trials end early; field names are those of the Optuna pruner that `name` picks."""

    name: str

    def __post_init__(self) -> None:
        _check_kind("pruner", PRUNERS, self)
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


@dataclass(kw_only=True)
class MedianConfig(PrunerConfig):
    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = 1


@dataclass(kw_only=True)
class PercentileConfig(MedianConfig):
    percentile: float = 25.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.percentile <= 100, "hydra.sweeper.pruner.percentile", self.percentile, "from 0 to 100")


@dataclass(kw_only=True)
class HyperbandConfig(PrunerConfig):
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
class SuccessiveHalvingConfig(PrunerConfig):
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
class PatientConfig(PrunerConfig):
    patience: int = 2
    min_delta: float = 0.0


@dataclass(kw_only=True)
class ThresholdConfig(PrunerConfig):
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
            raise ConfigError(f"hydra.sweeper.pruner.lower: {lower:g} is above upper={upper:g}; exchange them")


@dataclass(kw_only=True)
class SweeperConfig:
    """How a sweep is run. `_target_` is how Hydra finds the plugin."""

    _target_: str = "hydra_plugins.convlab.ConvlabSweeper"
    name: str
    sampler: SamplerConfig
    pruner: PrunerConfig
    direction: str | None = None  # null: follows training.monitor
    storage: str = field(default="sqlite:///optuna.db", metadata=PLACE)
    study_name: str | None = None  # null: from the search, and a digest of fixed config, space and data
    n_trials: int | None = None  # how many trials the study has in the end; null: every combination of a grid
    n_jobs: int = 1  # worker processes
    timeout: float | None = None  # seconds after which no further trial is begun
    # The space: name -> what would be typed after the =
    params: dict[str, Any] = field(default_factory=dict, metadata=FREE)
    max_retries: int = 2  # how often a trial that was interrupted or killed is tried again
    max_failures: int = 10  # failed trials in a row that end the sweep
    enqueue_default: bool = False  # the first trial has the values of the configuration itself
    save_models: str = "best"
    save_best_as: str | None = None  # also keep best.yaml as conf/experiment/NAME.yaml
    on_change: str = "error"

    def __post_init__(self) -> None:
        for key in ("n_trials", "n_jobs", "max_failures"):
            at_least(1, f"hydra.sweeper.{key}", getattr(self, key))
        at_least(0, "hydra.sweeper.max_retries", self.max_retries)
        most = MOST_JOBS_PER_CORE * cores()
        require(self.n_jobs <= most, "hydra.sweeper.n_jobs", self.n_jobs, f"at most {most} on the {cores()} cores here")
        require(
            self.timeout is None or self.timeout > 0, "hydra.sweeper.timeout", self.timeout, "seconds above 0, or null"
        )
        require(
            self.direction in (None, "maximize", "minimize"),
            "hydra.sweeper.direction",
            self.direction,
            "one of maximize, minimize, null",
        )
        one_of(("best", "all", "none"), "hydra.sweeper.save_models", self.save_models)
        one_of(("error", "continue"), "hydra.sweeper.on_change", self.on_change)
        for key in ("study_name", "save_best_as"):
            value = getattr(self, key)
            allowed = value is None or (value.strip() and not set(value) & set("/\\"))
            require(bool(allowed), f"hydra.sweeper.{key}", value, "a name without slashes")
        if self.n_trials is None and self.sampler.name != "grid":
            raise ConfigError(
                f"hydra.sweeper.n_trials: {self.sampler.name} does not know when it is done; give a number of trials"
            )
        if self.sampler.name == "grid" and self.pruner.name != "none":
            raise ConfigError(
                f"hydra/sweeper/pruner={self.pruner.name}: a grid runs each combination to its end; leave it out"
            )


SAMPLERS: dict[str, type[SamplerConfig]] = {
    "tpe": TPEConfig,
    "random": SamplerConfig,
    "grid": SamplerConfig,
    "qmc": QMCConfig,
    "cmaes": CmaEsConfig,
    "gp": GPConfig,
}
PRUNERS: dict[str, type[PrunerConfig]] = {
    "none": PrunerConfig,
    "median": MedianConfig,
    "percentile": PercentileConfig,
    "hyperband": HyperbandConfig,
    "successive_halving": SuccessiveHalvingConfig,
    "patient": PatientConfig,
    "threshold": ThresholdConfig,
}


def _check_kind(group: str, kinds: dict[str, Any], config: Any) -> None:
    if kinds.get(config.name) is not type(config):
        raise ConfigError(
            f"hydra.sweeper.{group}.name: {config.name!r} cannot be set; choose with hydra/sweeper/{group}=NAME, "
            f"one of {', '.join(kinds)}"
        )
