"""The trials of every study in a storage as plain values, and the end of those whose worker is dead."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from src.schema import NoPrunerConfig, RandomConfig, SweeperConfig
from src.study.attempts import INTERRUPTED, RETRY_OF
from src.study.claims import Claims
from src.study.presence import OWNER
from src.study.storage import Storage
from src.study.studies import UNIQUE, study_names


class TrialRecord(NamedTuple):
    """The record of one trial.

    Attributes:
        number: of the trial.
        state: COMPLETE, PRUNED, FAIL, RUNNING or WAITING.
        run_id: its MLflow run, None when tracking was off or the trial has not ended.
        is_interrupted: True if it was stopped or killed, and may be tried again.
        is_dead: True if it says RUNNING although its worker is dead.
        retry_of: the number of the interrupted trial that it repeats.
    """

    number: int
    state: str
    run_id: str | None
    is_interrupted: bool
    is_dead: bool
    retry_of: int | None

    @property
    def is_alive(self) -> bool:
        """True if a worker runs it now."""
        return self.state == TrialState.RUNNING.name and not self.is_dead


class StudyRecord(NamedTuple):
    """The record of one study: its name, its id in MLflow, and its trials by number."""

    name: str
    unique: str
    trials: list[TrialRecord]


def study_records(storage: Storage) -> Iterator[StudyRecord]:
    """Yield the studies of this program, one after the other. Nothing is changed."""
    for name in study_names(storage.optuna):
        study = optuna.load_study(study_name=name, storage=storage.optuna)
        if unique := study.user_attrs.get(UNIQUE):
            claims = _claims(name, storage)
            # No trial is claimed or ended meanwhile.
            yield StudyRecord(name, str(unique), claims.exclusively(partial(_records, claims, storage)))


def end_dead_trials(storage: Storage, name: str, epoch_of: Callable[[int], int]) -> None:
    """End the trials of a study whose worker is dead as interrupted; their parameters are tried again.

    Args:
        storage: the storage of the study.
        name: the name of the study.
        epoch_of: returns the epoch of the checkpoint of a chain, see `Claims`.
    """
    _claims(name, storage, epoch_of).give_up_dead()


def _records(claims: Claims, storage: Storage) -> list[TrialRecord]:
    return [_record(trial, storage) for trial in claims.trials()]


def _record(trial: FrozenTrial, storage: Storage) -> TrialRecord:
    owner = trial.user_attrs.get(OWNER)
    is_running = trial.state == TrialState.RUNNING
    return TrialRecord(
        number=trial.number,
        state=trial.state.name,
        run_id=trial.user_attrs.get("run_id"),
        is_interrupted=bool(trial.user_attrs.get(INTERRUPTED)),
        is_dead=is_running and (owner is None or storage.locks.is_free(f"owner {owner}")),
        retry_of=trial.user_attrs.get(RETRY_OF),
    )


def _claims(name: str, storage: Storage, epoch_of: Callable[[int], int] = lambda _: 0) -> Claims:
    settings = SweeperConfig(name=name, sampler=RandomConfig(), pruner=NoPrunerConfig(), n_trials=1)
    return Claims(name, storage, settings, n_trials=1, epoch_of=epoch_of)
