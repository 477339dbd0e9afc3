"""The samplers of a sweep, `hydra.sweeper.sampler.*`."""

from dataclasses import dataclass
from typing import Any, ClassVar

from src.schema.checks import at_least, one_of, require
from src.schema.kinds import Group, Kind

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
