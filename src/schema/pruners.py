"""The pruners of a sweep, `hydra.sweeper.pruner.*`."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from src.errors import ConfigError
from src.schema.checks import at_least, require
from src.schema.kinds import Group, Kind


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
    """Ends a trial if its last `patience` + 1 epochs are all worse than its best earlier one, by more than `min_delta`.

    An epoch that is only equally good keeps the trial alive.
    """

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
