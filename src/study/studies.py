"""Studies: each is created once, and every later process resumes it."""

import hashlib
import time
import uuid
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage

from src.errors import ConfigError
from src.schema import Choice, Dimension, Direction
from src.study.presence import note_queued

SETTING = "setting"
CHANGED = "setting_changed_at"  # the number of trials when a fixed setting was changed
MONITOR = "training.monitor"
LIMIT = "hydra.sweeper.constraints."  # prefix of the limits in a setting
VARIES = ("space ", "data ", LIMIT)  # prefixes of the items of a setting that are not fixed keys of a configuration
STOP = "stop"
UNIQUE = "id"
DEFINITION = "definition"
ORIGIN = "origin"
ORDER = "order"
REPORTED = "reported"  # the number of trials in the last report
COSTS = "costs "  # prefix of the costs of a trial as they were measured last
WORKER = "worker "  # prefix of what each worker notes


class Order(NamedTuple):
    """The order of a command: how many trials a study will have, and until when trials start.

    Attributes:
        n_trials: how many trials the study has in the end.
        deadline: the time after which no further trial starts, in seconds since 1970; None without a deadline.
    """

    n_trials: int
    deadline: float | None

    @property
    def is_over(self) -> bool:
        """True if the deadline has passed."""
        return self.deadline is not None and time.time() > self.deadline


def open_study(name: str, storage: RDBStorage, *directions: Direction, names: Sequence[str] = ()) -> optuna.Study:
    """Return the study of this name, created if there is none.

    Args:
        name: of the study.
        storage: where it is.
        directions: of its objectives, one or more.
        names: of its objectives; a study with one objective does not keep the name.

    Raises:
        ConfigError: a study of this name has other objectives.
    """
    study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
    if len(directions) > 1 and study.metric_names is None and len(study.directions) == len(directions):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(names))
    wanted, found = _describe(directions, names), _describe(directions_of(study), study.metric_names or ())
    if found != wanted:
        raise ConfigError(f"the study {name!r} {found}, but this sweep {wanted}; use another hydra.sweeper.study_name")
    return study


def directions_of(study: optuna.Study) -> list[Direction]:
    """Return the direction of each objective."""
    return ["maximize" if direction.name == "MAXIMIZE" else "minimize" for direction in study.directions]


def _describe(directions: Sequence[Direction], names: Sequence[str]) -> str:
    """Return `maximizes its value`, or `maximizes val_accuracy and minimizes parameters`."""
    known = names if len(directions) > 1 else ["its value"]
    return " and ".join(f"{direction}s {name}" for direction, name in zip(directions, known, strict=False))


def study_names(storage: RDBStorage) -> list[str]:
    """Return the names of all studies in the storage."""
    return sorted(optuna.get_all_study_names(storage))


def find_study(name: str, storage: RDBStorage) -> optuna.Study:
    """Return the study of this name.

    Raises:
        ConfigError: there is none; the message lists the studies that exist.
    """
    known = study_names(storage)
    if name not in known:
        raise ConfigError(f"no study {name!r}; known: {', '.join(known) or 'none'}")
    return optuna.load_study(study_name=name, storage=storage)


def unique_id(study: optuna.Study) -> str:
    """Return the study's id, which no other study has, not even a later one of the same name."""
    if UNIQUE not in study.user_attrs:
        study.set_user_attr(UNIQUE, uuid.uuid4().hex)
    return str(study.user_attrs[UNIQUE])


def ask_to_stop(study: optuna.Study, stop: bool = True) -> None:
    """Ask all processes that work on the study to end their trials with the epoch, or withdraw the request."""
    if stop:
        note_queued(study, None)  # workers that a cluster starts later end at once
    if bool(study.user_attrs.get(STOP)) != stop:
        study.set_user_attr(STOP, stop)


def is_stopped(study: optuna.Study) -> bool:
    """Return whether the processes that work on the study are asked to stop."""
    return bool(study.user_attrs.get(STOP))


def check_setting(
    study: optuna.Study,
    setting: Mapping[str, Any],
    dimensions: Sequence[Dimension],
    on_change: str,
    joins: bool = False,
) -> None:
    """Store the setting in a new study, or compare it with the one that is stored.

    Args:
        study: a new or an existing study.
        setting: what the trials have in common, the space and the data sets, from `src.sweep.setting`.
        dimensions: the dimensions of the space.
        on_change: `error`, or `continue` to allow other settings, except for another metric.
        joins: whether the settings come from the study, so that only data and files can differ.

    Raises:
        ConfigError: the study has other settings; the message says what differs.
    """
    before = study.user_attrs.get(SETTING, setting)
    if joins:  # a definition has the values of resolvers; its ties are those of the study
        before, setting = _without_ties(before), _without_ties(setting)
    changed = [name for name in sorted(before.keys() | setting.keys()) if before.get(name) != setting.get(name)]
    changes = [f"{name} was {before.get(name, 'not set')}, is {setting.get(name, 'not set')}" for name in changed]
    if MONITOR in changed:  # values of two metrics cannot be compared
        raise ConfigError(
            f"the study {study.study_name!r} has another metric: {changes[changed.index(MONITOR)]}. "
            "Use another hydra.sweeper.study_name"
        )
    if changes and on_change == "error":
        remedy = (
            "Give this machine the same data and files; type their places behind the name of the study"
            if joins
            else "Use another hydra.sweeper.study_name, or continue anyway with hydra.sweeper.on_change=continue"
        )
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise ConfigError(
            f"the study {study.study_name!r} was made with other settings: {'; '.join(changes[:5])}{more}. {remedy}"
        )
    _check_choices(study, dimensions)
    if joins:
        return
    if not all(name.startswith(VARIES) for name in changed):
        study.set_user_attr(CHANGED, len(study.get_trials(deepcopy=False)))
    if changes or SETTING not in study.user_attrs:
        study.set_user_attr(SETTING, dict(setting))


def _without_ties(setting: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a setting without the interpolations that its values come from, see `src.sweep.setting`."""
    return {name: str(value).partition(" from ${")[0] for name, value in setting.items()}


def keep_definition(study: optuna.Study, definition: Mapping[str, Any], origin: Mapping[str, str]) -> None:
    """Store everything that other workers of a study must know.

    Args:
        study: the study of the sweep.
        definition: of the sweep, from `src.space.definition`.
        origin: the code and the packages that train its trials.
    """
    for name, value in ((DEFINITION, dict(definition)), (ORIGIN, dict(origin))):
        if study.user_attrs.get(name) != value:
            study.set_user_attr(name, value)


def kept_definition(study: optuna.Study) -> tuple[Any, Mapping[str, str]]:
    """Return the definition of a study's sweep, and the code and the packages that train its trials.

    Raises:
        ConfigError: the study has none, because an earlier version or another program made it.
    """
    definition, origin = study.user_attrs.get(DEFINITION), study.user_attrs.get(ORIGIN)
    if definition is None or not isinstance(origin, dict):
        raise ConfigError(
            f"the study {study.study_name!r} has no definition, because an earlier version made it or because it "
            "searches paths; to add one where that is possible, run the command of its sweep"
        )
    return definition, origin


def place_order(study: optuna.Study, order: Order) -> None:
    """Store an order in a study. The highest number of trials counts, and the deadline of the last command."""
    before = study.user_attrs.get(ORDER)
    n_trials = max(order.n_trials, before["n_trials"] if before else 0)
    wanted = order._replace(n_trials=n_trials)._asdict()
    if wanted != before:
        study.set_user_attr(ORDER, wanted)


def order_of(study: optuna.Study) -> Order:
    """Return the order of a study that has a definition."""
    return Order(**study.user_attrs[ORDER])


def limits_of(study: optuna.Study) -> dict[str, float]:
    """Return the limits of a study's networks; none for a study without a definition."""
    settings = study.user_attrs.get(DEFINITION, {}).get("settings", {})
    return {name: limit for name, limit in settings.get("constraints", {}).items() if limit is not None}


def note_costs(study: optuna.Study, number: int, costs: Mapping[str, float]) -> None:
    """Store what the network of a trial costs, measured again after the workers have ended."""
    study.set_user_attr(COSTS + str(number), dict(costs))


def costs_again(study: optuna.Study, number: int) -> dict[str, float]:
    """Return the costs that `note_costs` has stored for a trial, an empty dict if there are none."""
    return dict(study.user_attrs.get(COSTS + str(number), {}))


def note_report(study: optuna.Study, trials: int) -> None:
    """Store how many trials the report of a study contains."""
    if study.user_attrs.get(REPORTED) != trials:
        study.set_user_attr(REPORTED, trials)


def has_report(study: optuna.Study) -> bool:
    """Return True if the last report contains all trials, or if that is unknown because an earlier version wrote it."""
    return DEFINITION not in study.user_attrs or study.user_attrs.get(REPORTED) == len(study.get_trials(deepcopy=False))


class WorkerRecord(NamedTuple):
    """The note that a worker leaves about itself.

    Attributes:
        host: the name of its machine.
        pid: the number of its process there.
        started: the time in seconds since 1970.
        log: the file with its output, as an absolute path on its machine.
    """

    host: str
    pid: int
    started: float
    log: str


def note_worker(study: optuna.Study, record: WorkerRecord) -> None:
    """Store what a worker says about itself, in place of what an earlier process with the same log has said."""
    digest = hashlib.sha256(record.log.encode()).hexdigest()[:8]  # Optuna's names have 512 characters at most
    study.set_user_attr(f"{WORKER}{record.host} {digest}", record._asdict())


def worker_records(study: optuna.Study) -> list[WorkerRecord]:
    """Return the records of all workers, the earliest first."""
    records = [WorkerRecord(**value) for name, value in study.user_attrs.items() if name.startswith(WORKER)]
    return sorted(records, key=lambda record: record.started)


def first_of_setting(study: optuna.Study) -> int:
    """Return the number of the first trial that has the study's present values of the fixed keys."""
    return int(study.user_attrs.get(CHANGED, 0))


def _check_choices(study: optuna.Study, dimensions: Sequence[Dimension]) -> None:
    """Raises ConfigError for a change that Optuna refuses: of a dimension's kind, or of the options of a choice."""
    wanted = {dimension.name: _kind_of_dimension(dimension) for dimension in dimensions}
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            kind = _kind_of_distribution(distribution)
            if wanted.get(name, kind) != kind:
                raise ConfigError(
                    f"{name}: the study {study.study_name!r} has {kind}, which cannot become {wanted[name]} within "
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
