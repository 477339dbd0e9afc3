"""Samplers and pruners from their configs, and a trial's answer to each dimension of a space."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler

from src.errors import ConfigError
from src.schema import Choice, Dimension, Interval, PrunerConfig, SamplerConfig, Scalar

SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "tpe": TPESampler,
    "random": RandomSampler,
    "grid": RandomSampler,  # every trial of a grid is enqueued, so it is never asked
    "qmc": QMCSampler,
    "cmaes": CmaEsSampler,
    "gp": GPSampler,
}
PRUNERS: dict[str, Callable[..., BasePruner]] = {
    "none": NopPruner,
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "hyperband": HyperbandPruner,
    "successive_halving": SuccessiveHalvingPruner,
    "patient": lambda **settings: PatientPruner(None, **settings),
    "threshold": ThresholdPruner,
}


def build_sampler(config: SamplerConfig, trials: int) -> BaseSampler:
    """The Optuna sampler, seeded for the next trial.

    A sampler is made anew for each trial. Its seed depends on how many trials there are, so that a study which is taken
    up again does not repeat itself, and one that is run again from the start does.

    Args:
        config: which sampler, and its settings.
        trials: how many trials the study has.
    """
    settings = asdict(config)
    name, seed = settings.pop("name"), settings.pop("seed")
    fresh = (seed + 1_000_003 * trials) % 2**32
    if name == "qmc":  # goes through one sequence; only what it draws before there is one differs from trial to trial
        settings["independent_sampler"] = RandomSampler(seed=fresh)
    else:
        seed = fresh
    if name in ("cmaes", "qmc", "gp"):
        settings["warn_independent_sampling"] = False
    if name == "qmc":
        settings["warn_asynchronous_seeding"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed=seed, **settings)


def build_pruner(config: PrunerConfig) -> BasePruner:
    """The Optuna pruner; a resource that is null is found out from the trials."""
    settings = asdict(config)
    name = settings.pop("name")
    for key in ("min_resource", "max_resource"):
        if key in settings and settings[key] is None:
            settings[key] = "auto"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PRUNERS[name](**settings)


def check_sampler(config: SamplerConfig, dimensions: Sequence[Dimension]) -> None:
    """Raises ConfigError when the sampler cannot work on the space, or needs what is not installed."""
    if config.name == "gp" and find_spec("torch") is None:
        raise ConfigError("hydra/sweeper/sampler=gp needs PyTorch: pip install torch, or use hydra/sweeper/sampler=tpe")
    numbers = [dimension for dimension in dimensions if isinstance(dimension, Interval)]
    if config.name == "cmaes" and not numbers:
        raise ConfigError(
            f"hydra/sweeper/sampler=cmaes searches numbers, and this space has only choices "
            f"({', '.join(dimension.name for dimension in dimensions)}); use interval(...) or range(...) for some of "
            "them, or hydra/sweeper/sampler=tpe"
        )


def picker(trial: optuna.Trial) -> Callable[[Dimension], Scalar]:
    """What the trial proposes for a dimension, remembered in the study under the dimension's own name."""

    def pick(dimension: Dimension) -> Scalar:
        if isinstance(dimension, Choice):
            return trial.suggest_categorical(dimension.name, dimension.names)
        low, high, step = dimension.low, dimension.high, dimension.step
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(dimension.name, low, high, step=int(step or 1), log=dimension.log)
        return trial.suggest_float(dimension.name, low, high, step=step, log=dimension.log)

    return pick
