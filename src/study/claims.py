"""Claims: the exclusive right of one worker to one trial, which makes the number of trials of a study exact.

One lock is held from counting the trials until the parameters of the next one are drawn. Each worker holds a lock of
its own for as long as it lives, and writes its name on the trials that it runs. So a running trial whose owner's lock
is free has lost its worker. That trial becomes FAIL with the user attribute `interrupted`, and its parameters are tried
again under the next number, `max_retries` times at most; then it counts as it is. The new trial continues from the
checkpoint of the chain: the trial and those that tried it again. If the checkpoint has advanced, the interruption does
not count as a retry.
"""

import contextlib
import enum
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from src.results import Counts
from src.schema import Scalar, SweeperConfig, sign_of
from src.study.locks import Locks
from src.study.sampling import build_pruner, build_sampler

INTERRUPTED = "interrupted"
OWNER = "owner"
REASON = "reason"
RETRIES = "retries"
RETRY_OF = "retry_of"
CHAIN = "chain"  # the number of the chain's first trial, at each later one
STARTED_AT = "started_at"  # the epoch of the chain's checkpoint when the trial was put into the queue
ADVANCED = "advanced"  # the checkpoint was a later one when the trial was interrupted
QUEUED = "queued"
STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)

T = TypeVar("T")


class NoTrial(enum.Enum):
    """The reason why a claim gets no trial."""

    WAIT = "other workers are running the last trials, and one of them may have to be tried again"
    DONE = "the study has all its trials"
    FAILING = "too many trials failed in a row"


class Claims:
    """The trials of one study, shared with every other process that works on it.

    Args:
        study_name: the name of a study that exists.
        storage: Optuna's storage.
        locks: the locks of this storage.
        settings: `hydra.sweeper`.
        n_trials: how many trials the study has in the end.
        queue: parameters of the first trials, in this order; after them the sampler proposes.
        first: the number of the first trial of this command; earlier failures do not count as failures in a row.
        on_dead: called with the number of each trial whose worker was found dead.
        epoch_of: called with the number of a chain's first trial; returns the epoch of its checkpoint, 0 without one.
    """

    def __init__(
        self,
        study_name: str,
        storage: optuna.storages.RDBStorage,
        locks: Locks,
        settings: SweeperConfig,
        *,
        n_trials: int,
        queue: Sequence[Mapping[str, Scalar]] = (),
        first: int = 0,
        on_dead: Callable[[int], object] = int,
        epoch_of: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self.study = optuna.load_study(
            study_name=study_name,
            storage=storage,
            sampler=build_sampler(settings.sampler, 0),
            pruner=build_pruner(settings.pruner),
        )
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(study_name)
        self._locks = locks
        self._settings = settings
        self._n_trials = n_trials
        self._queue = queue
        self._first = first
        self._on_dead = on_dead
        self._epoch_of = epoch_of

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Waits for the study's lock: no other process claims or ends a trial of the study inside the block."""
        with self._locks.holding(f"study {self.study.study_name}"):
            yield

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Waits for the lock on the results: no other process writes them inside the block, while trials continue."""
        with self._locks.holding(f"results {self.study.study_name}"):
            yield

    @contextmanager
    def alive(self, owner: str) -> Iterator[None]:
        """Shows other processes that the worker with this name is alive, as long as the block lasts."""
        with self._locks.holding(f"owner {owner}"):
            yield
        self._locks.forget(f"owner {owner}")

    def claim(self, owner: str, draw: Callable[[optuna.Trial], T]) -> tuple[optuna.Trial, T | Exception] | NoTrial:
        """Claims the next trial.

        Args:
            owner: the caller's name, under which it is `alive`.
            draw: asks the trial for its parameters.

        Returns:
            The trial and what `draw` returned or raised for it, or the reason why there is no trial.
        """
        with self.exclusive():
            self._give_up_dead()
            trials = self.trials()
            counts = count_trials(trials, self._settings.max_retries)
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if not waiting and counts.counted + counts.running >= self._n_trials:
                return NoTrial.WAIT if counts.running else NoTrial.DONE
            if self._failed_in_a_row(trials):
                return NoTrial.FAILING
            if not waiting:
                self._enqueue_next(trials)
            self.study.sampler = build_sampler(self._settings.sampler, len(trials))
            trial = self.study.ask()
            trial.set_user_attr(OWNER, owner)
            try:
                return trial, draw(trial)
            except Exception as error:
                return trial, error

    def complete(self, trial: optuna.Trial, owner: str, value: float, attributes: Mapping[str, Any]) -> bool:
        """Ends a trial with its value; returns False when it is no longer the caller's, like the next three methods."""
        return self._end_trial(trial.number, owner, TrialState.COMPLETE, value, attributes)

    def prune(self, trial: optuna.Trial, owner: str, attributes: Mapping[str, Any]) -> bool:
        """Ends a trial that the pruner stopped."""
        return self._end_trial(trial.number, owner, TrialState.PRUNED, None, attributes)

    def fail(self, trial: optuna.Trial, owner: str, reason: str, attributes: Mapping[str, Any]) -> bool:
        """Ends a trial that raised an error, diverged or cannot be built; it counts, and its reason is stored."""
        return self._end_trial(trial.number, owner, TrialState.FAIL, None, {**attributes, REASON: reason})

    def interrupt(self, trial: optuna.Trial, owner: str, reason: str) -> bool:
        """Ends a trial that was stopped; it does not count, and is tried again when the study is resumed."""
        return self._end_trial(trial.number, owner, TrialState.FAIL, None, self._interruption(trial, reason))

    def give_up_dead(self) -> list[int]:
        """Ends the trials whose worker is dead as interrupted; returns their numbers."""
        with self.exclusive():
            return self._give_up_dead()

    def counts(self) -> Counts:
        """Returns how many trials ended how."""
        return count_trials(self.trials(), self._settings.max_retries)

    def count_ended(self) -> int:
        """Returns the number of trials that ended without being interrupted."""
        return sum(trial.state.is_finished() and not trial.user_attrs.get(INTERRUPTED) for trial in self.trials())

    def is_done(self) -> bool:
        """Returns whether the study has all its trials, and none is running."""
        counts = self.counts()
        return not counts.running and counts.counted >= self._n_trials

    def open_chains(self) -> set[int]:
        """Returns the chains whose last trial is running, or was interrupted and may be tried again."""
        last = {chain_of(trial): trial for trial in self.trials()}
        retries = self._settings.max_retries
        return {chain for chain, trial in last.items() if not trial.state.is_finished() or can_retry(trial, retries)}

    def best_value(self) -> float | None:
        """Returns the best value of a complete trial, None while there is none."""
        values = [
            trial.value for trial in self.trials() if trial.state == TrialState.COMPLETE and trial.value is not None
        ]
        sign = sign_of(self.study.direction.name.lower())
        return max(values, key=lambda value: sign * value, default=None)

    def trials(self) -> list[FrozenTrial]:
        """Returns all trials by number; they must not be changed."""
        return self.study.get_trials(deepcopy=False)

    def _end_trial(
        self, number: int, owner: str, state: TrialState, value: float | None, attributes: Mapping[str, Any]
    ) -> bool:
        with self.exclusive():
            trial = self.trials()[number]
            if trial.state != TrialState.RUNNING or trial.user_attrs.get(OWNER) != owner:
                return False  # another process took this worker for dead, and the trial is tried again
            self._set_attributes(number, attributes)
            self.study.tell(number, value, state)
            return True

    def _set_attributes(self, number: int, attributes: Mapping[str, Any]) -> None:
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        for name, attribute in attributes.items():
            self._storage.set_trial_user_attr(trial_id, name, attribute)

    def _give_up_dead(self) -> list[int]:
        dead = [
            trial
            for trial in self.trials()
            if trial.state == TrialState.RUNNING
            # A trial without an owner lost its worker during the claim: we hold the lock that the worker held.
            and (OWNER not in trial.user_attrs or self._locks.is_free(f"owner {trial.user_attrs[OWNER]}"))
        ]
        for trial in dead:
            self._set_attributes(trial.number, self._interruption(trial, "its worker was killed"))
            self.study.tell(trial.number, state=TrialState.FAIL)
            with contextlib.suppress(Exception):  # the study is right even if the store of the runs cannot be reached
                self._on_dead(trial.number)
            if OWNER in trial.user_attrs:
                self._locks.forget(f"owner {trial.user_attrs[OWNER]}")
        return [trial.number for trial in dead]

    def _interruption(self, trial: optuna.Trial | FrozenTrial, reason: str) -> dict[str, Any]:
        """Return the attributes of a trial that is interrupted."""
        has_advanced = self._epoch_of(chain_of(trial)) > trial.user_attrs.get(STARTED_AT, 0)
        return {INTERRUPTED: True, REASON: reason} | ({ADVANCED: True} if has_advanced else {})

    def _enqueue_next(self, trials: Sequence[FrozenTrial]) -> None:
        """Enqueues the parameters that must come next, if there are any: those of a retry, or of the queue."""
        retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
        for trial in trials:
            if can_retry(trial, self._settings.max_retries) and trial.number not in retried:
                retries = trial.user_attrs.get(RETRIES, 0) + (ADVANCED not in trial.user_attrs)
                chain = chain_of(trial)
                attributes = {RETRIES: retries, RETRY_OF: trial.number, CHAIN: chain, STARTED_AT: self._epoch_of(chain)}
                # With the parameters that it was enqueued with: it may have been killed before all of them were drawn.
                params = trial.system_attrs.get("fixed_params", {}) | trial.params
                if QUEUED in trial.user_attrs:
                    attributes[QUEUED] = trial.user_attrs[QUEUED]
                self.study.enqueue_trial(params, user_attrs=attributes)
                return
        tried = {trial.user_attrs.get(QUEUED) for trial in trials}
        for params in self._queue:
            key = json.dumps(params, sort_keys=True)
            if key not in tried:
                self.study.enqueue_trial(dict(params), user_attrs={QUEUED: key})
                return

    def _failed_in_a_row(self, trials: Sequence[FrozenTrial]) -> bool:
        """Returns whether the last trials of this command, `max_failures` of them, all failed."""
        ended = [
            trial.state
            for trial in trials[self._first :]
            if trial.state.is_finished() and not can_retry(trial, self._settings.max_retries)
        ]
        last = ended[-self._settings.max_failures :]
        return len(last) == self._settings.max_failures and set(last) == {TrialState.FAIL}


def chain_of(trial: optuna.Trial | FrozenTrial) -> int:
    """Return the number of the first trial of a chain."""
    return int(trial.user_attrs.get(CHAIN, trial.number))


def retry_tag(trial: optuna.Trial) -> dict[str, str]:
    """Return the tag of a trial's run that names the trial which it tries again; nothing for a first try."""
    return {RETRY_OF: str(trial.user_attrs[RETRY_OF])} if RETRY_OF in trial.user_attrs else {}


def can_retry(trial: FrozenTrial, max_retries: int) -> bool:
    """Returns whether the trial was interrupted and may be tried again under another number, so it does not count."""
    interrupted = trial.state == TrialState.FAIL and trial.user_attrs.get(INTERRUPTED, False)
    return bool(interrupted) and (ADVANCED in trial.user_attrs or trial.user_attrs.get(RETRIES, 0) < max_retries)


def count_trials(trials: Sequence[FrozenTrial], max_retries: int) -> Counts:
    """Returns how many trials ended how."""
    retried = [trial for trial in trials if can_retry(trial, max_retries)]
    by_state = {state: sum(trial.state == state for trial in trials) for state in STATES}
    return Counts(
        complete=by_state[TrialState.COMPLETE],
        pruned=by_state[TrialState.PRUNED],
        failed=by_state[TrialState.FAIL] - len(retried),
        running=by_state[TrialState.RUNNING] + by_state[TrialState.WAITING],
        retried=len(retried),
    )
