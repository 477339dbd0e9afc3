"""Presence: which commands work on a study, so that one that only watches knows when nobody does.

Each command that trains is `alive` under a name of its own (`Claims`), and the study has the names. A cluster may start
workers later than the command that asked for them, so the study says that too.
"""

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from src.study.locks import Locks

OWNER = "owner"  # the attribute of a trial with the name of its worker
PRESENT = "commands"  # the names of commands, the latest last
QUEUED = "queued"  # the name of what an engine has started, None once none of its workers is expected anymore
MAX_NAMES = 100  # of commands; beyond it those that have ended are removed


def note_arrival(study: optuna.Study, locks: Locks, name: str) -> None:
    """Add a command that is alive to those of the study; the caller holds the lock of the study."""
    names = list(study.user_attrs.get(PRESENT, []))
    if len(names) >= MAX_NAMES:
        names = [name for name in names if not locks.is_free(f"owner {name}")]
    study.set_user_attr(PRESENT, [*names, name])


def note_queued(study: optuna.Study, name: str | None) -> None:
    """Note what an engine has started, or None when no more of its workers are expected."""
    if study.user_attrs.get(QUEUED) != name:
        study.set_user_attr(QUEUED, name)


def is_attended(study: optuna.Study, locks: Locks, trials: Sequence[FrozenTrial]) -> bool:
    """Return True if a command or a worker works on the study, or if a cluster may start a worker later.

    Args:
        study: the study.
        locks: of its storage.
        trials: its trials.
    """
    attributes = study.user_attrs
    if attributes.get(QUEUED) is not None:
        return True
    owners = [trial.user_attrs[OWNER] for trial in trials if _has_owner(trial)]
    names = [*owners, *reversed(attributes.get(PRESENT, []))]
    return any(not locks.is_free(f"owner {name}") for name in names)


def _has_owner(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and OWNER in trial.user_attrs
