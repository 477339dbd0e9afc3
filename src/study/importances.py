"""The parameters of a study, by how much they matter."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from src.results import Parameter
from src.schema import sign_of


def rank_parameters(study: optuna.Study) -> list[Parameter]:
    """Return the parameters, the most important first, equal ones by name; fewer than two trials show no importance.

    With several objectives it is the importance for the first one.

    The importances are Optuna's: Watanabe, Bansal and Hutter 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces".
    """
    distributions: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        distributions |= trial.distributions
    importances = _importances(study)
    names = sorted(distributions, key=lambda name: (-importances.get(name, -1.0), name))
    return [_parameter(name, distributions[name], importances.get(name)) for name in names]


def _importances(study: optuna.Study) -> dict[str, float]:
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(complete) > 1:  # Optuna would give every parameter of a single trial the same importance
        with contextlib.suppress(ValueError, RuntimeError), _quiet():  # the values of the trials do not differ
            return optuna.importance.get_param_importances(study, target=_first_loss(study))
    return {}


def _first_loss(study: optuna.Study) -> Callable[[FrozenTrial], float] | None:
    """Return a function of a trial that is less the better its first objective; None with one objective."""
    if len(study.directions) == 1:
        return None
    sign = sign_of(study.directions[0].name.lower())
    return lambda trial: -sign * trial.values[0]


def _parameter(name: str, distribution: BaseDistribution, importance: float | None) -> Parameter:
    choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else None
    return Parameter(name, importance, getattr(distribution, "log", False), choices)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide Optuna's warnings about importances that are experimental or come from few trials."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)
