"""Samplers and pruners from their configs, and a trial's value for each dimension of a space."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, PatientPruner
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler

from src.errors import ConfigError
from src.schema import Choice, Dimension, Interval, PrunerConfig, SamplerConfig, Scalar


def build_sampler(config: SamplerConfig, trials: int) -> BaseSampler:
    """Return the Optuna sampler for the next trial.

    A sampler is made anew for each trial. Its seed depends on the number of trials, so that a study that is resumed
    does not repeat itself, and one that is run again from the start does.

    Args:
        config: which sampler, and its settings.
        trials: the number of trials that the study has.
    """
    with _no_warnings():
        sampler: BaseSampler = config.build(BaseSampler, **config.arguments(trials))
    return sampler


def build_pruner(config: PrunerConfig) -> BasePruner:
    """Return the Optuna pruner."""
    with _no_warnings():
        pruner: BasePruner = config.build(BasePruner, **config.arguments())
    return pruner


def qmc_sampler(independent_seed: int, **settings: Any) -> QMCSampler:
    """Return a quasi-Monte Carlo sampler; values outside its sequence are drawn with `independent_seed`."""
    return QMCSampler(
        independent_sampler=RandomSampler(seed=independent_seed),
        warn_independent_sampling=False,
        warn_asynchronous_seeding=False,
        **settings,
    )


def patient_pruner(**settings: Any) -> PatientPruner:
    """Return a pruner that ends a trial whose latest epochs are all worse than its best earlier one."""
    return PatientPruner(None, **settings)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide Optuna's warning that a sampler or pruner is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def check_sampler(config: SamplerConfig, dimensions: Sequence[Dimension]) -> None:
    """Raises ConfigError when the sampler cannot search the space, or needs a package that is not installed."""
    choice, package = f"hydra/sweeper/sampler={config.name}", config.needs_package
    if package is not None and find_spec(package) is None:
        raise ConfigError(
            f"{choice} needs the package {package}: pip install {package}, or use hydra/sweeper/sampler=tpe"
        )
    numbers = [dimension for dimension in dimensions if isinstance(dimension, Interval)]
    if config.needs_numbers and not numbers:
        raise ConfigError(
            f"{choice} searches only numbers, and this space has only choices "
            f"({', '.join(dimension.name for dimension in dimensions)}); use interval(...) or range(...) for some of "
            "them, or hydra/sweeper/sampler=tpe"
        )


def picker(trial: optuna.Trial) -> Callable[[Dimension], Scalar]:
    """Return a function from a dimension to the trial's value; the study stores it under the dimension's name."""

    def pick(dimension: Dimension) -> Scalar:
        if isinstance(dimension, Choice):
            return trial.suggest_categorical(dimension.name, dimension.names)
        low, high, step = dimension.low, dimension.high, dimension.step
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(dimension.name, low, high, step=int(step or 1), log=dimension.log)
        return trial.suggest_float(dimension.name, low, high, step=step, log=dimension.log)

    return pick
