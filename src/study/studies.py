"""A study: made once, and the same one for everybody who comes later."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import RDBStorage

from src.errors import ConfigError
from src.schema import Choice, Dimension

SETTING = "setting"
CHANGED = "setting_changed_at"  # the number of trials when a fixed setting was changed
VARIES = ("space ", "data ")  # begin what a setting holds besides fixed settings, see `src.sweep.setting`
STOP = "stop"
UNIQUE = "id"


def open_study(name: str, storage: RDBStorage, direction: Literal["maximize", "minimize"]) -> optuna.Study:
    """The study of this name, made when there is none.

    Raises:
        ConfigError: it exists, and wants the opposite.
    """
    study = optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
    if study.direction.name.lower() != direction:
        raise ConfigError(
            f"the study {name!r} wants to {study.direction.name.lower()} its value, this sweep to {direction} its own; "
            "use another hydra.sweeper.study_name"
        )
    return study


def study_names(storage: RDBStorage) -> list[str]:
    """All studies of the storage."""
    return sorted(optuna.get_all_study_names(storage))


def find_study(name: str, storage: RDBStorage) -> optuna.Study:
    """The study of this name.

    Raises:
        ConfigError: there is none; the message lists those that there are.
    """
    known = study_names(storage)
    if name not in known:
        raise ConfigError(f"no study {name!r}; known: {', '.join(known) or 'none'}")
    return optuna.load_study(study_name=name, storage=storage)


def unique_id(study: optuna.Study) -> str:
    """An id that no other study has, not even a later one of the same name."""
    if UNIQUE not in study.user_attrs:
        study.set_user_attr(UNIQUE, uuid.uuid4().hex)
    return str(study.user_attrs[UNIQUE])


def ask_to_stop(study: optuna.Study, wish: bool = True) -> None:
    """Whoever works on the study, on whatever machine, ends its trials with their epoch and begins no other."""
    if bool(study.user_attrs.get(STOP)) != wish:
        study.set_user_attr(STOP, wish)


def is_stopped(study: optuna.Study) -> bool:
    return bool(study.user_attrs.get(STOP))


def check_setting(
    study: optuna.Study, setting: Mapping[str, Any], dimensions: Sequence[Dimension], on_change: str
) -> None:
    """Remembers in the study what it was made with, and compares.

    Args:
        study: new, or one that exists.
        setting: dotted name -> value of all that the trials have in common, the space and the data.
        dimensions: the space.
        on_change: `error`, or `continue` where another setting is wanted.

    Raises:
        ConfigError: the study was made with something else; the message says with what.
    """
    before = study.user_attrs.get(SETTING, setting)
    changed = [name for name in sorted(before.keys() | setting.keys()) if before.get(name) != setting.get(name)]
    changes = [f"{name} was {before.get(name, 'not there')}, is {setting.get(name, 'not there')}" for name in changed]
    if changes and on_change == "error":
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise ConfigError(
            f"the study {study.study_name!r} was made with another setting: {'; '.join(changes[:5])}{more}. Use "
            "another hydra.sweeper.study_name, or go on all the same with hydra.sweeper.on_change=continue"
        )
    _check_choices(study, dimensions)
    if not all(name.startswith(VARIES) for name in changed):
        study.set_user_attr(CHANGED, len(study.get_trials(deepcopy=False)))
    if changes or SETTING not in study.user_attrs:
        study.set_user_attr(SETTING, dict(setting))


def first_of_setting(study: optuna.Study) -> int:
    """The number of the first trial that was made with the study's present fixed settings."""
    return int(study.user_attrs.get(CHANGED, 0))


def _check_choices(study: optuna.Study, dimensions: Sequence[Dimension]) -> None:
    """Optuna lets the bounds of an interval change within a study, but not its kind, nor the options of a choice."""
    wanted = {dimension.name: _kind_of_dimension(dimension) for dimension in dimensions}
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            was = _kind_of_distribution(distribution)
            if wanted.get(name, was) != was:
                raise ConfigError(
                    f"{name}: the study {study.study_name!r} has {was}, which cannot become {wanted[name]} within "
                    "one study; use another hydra.sweeper.study_name"
                )


def _kind_of_dimension(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return f"a choice from {dimension.names}"
    return ("integers" if dimension.is_whole else "numbers") + (" on a log scale" if dimension.log else "")


def _kind_of_distribution(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"a choice from {tuple(distribution.choices)}"
    is_whole, is_log = isinstance(distribution, IntDistribution), getattr(distribution, "log", False)
    return ("integers" if is_whole else "numbers") + (" on a log scale" if is_log else "")
