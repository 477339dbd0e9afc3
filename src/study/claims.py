"""Claims: the exclusive right of one worker to one trial, which makes the number of trials of a study exact.

One lock is held from counting the trials until the parameters of the next one are drawn. Each worker holds a lock of
its own for as long as it lives, and writes its name on the trials that it runs. So a running trial whose owner's lock
is free has lost its worker. That trial becomes FAIL with the user attribute `interrupted`, and its parameters are tried
again under the next number. The new trial continues from the checkpoint of the chain: the trial and those that tried
it again.

A trial whose worker was killed is tried again `max_retries` times at most; then it counts as failed. An interruption
does not count as a retry if the checkpoint has advanced, if the worker gave the trial back because it was asked to stop
or lost its stores, or if the worker ended with the process that started it. That process holds a lock too, and its name
is on the trials. A trial that takes its machine down each time loses that process too: it is tried again some more
times (`EXTRA_LOSSES`), unless the process had been asked to stop.

While the storage does not answer, each operation is repeated (`Patience`). That is safe: a claim whose answer was lost
is found by its owner's name, and an end that has arrived is recognized.
"""

import contextlib
import enum
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from src.results import Counts
from src.schema import Scalar, SweeperConfig, violations
from src.study.attempts import (
    ADVANCED,
    CHAIN,
    ENDED_WITH_SWEEP,
    INTERRUPTED,
    KILLED,
    LOST,
    REASON,
    RETRY_OF,
    STARTED_AT,
    STARTER,
    STOPPING,
    chain_of,
    count_trials,
    have_failed_in_a_row,
    next_parameters,
    open_chains,
    uncounted,
)
from src.study.patience import is_outage
from src.study.presence import OWNER, note_arrival
from src.study.sampling import build_pruner, build_sampler
from src.study.shared import COSTS, SharedStudy
from src.study.storage import Storage
from src.study.watch import LOST_TRIAL, TrialLost

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
        storage: the open storage.
        settings: `hydra.sweeper`.
        n_trials: how many trials the study has in the end.
        queue: parameters of the first trials, in this order; after them the sampler proposes.
        first: the number of the first trial of this command; earlier failures do not count as failures in a row.
        starter: the name of the process that started this one, under which it is `alive`; None without one.
        on_dead: called with the number of each trial whose worker was found dead.
        epoch_of: called with the number of a chain's first trial; returns the epoch of its checkpoint, 0 without one.
    """

    def __init__(
        self,
        study_name: str,
        storage: Storage,
        settings: SweeperConfig,
        *,
        n_trials: int,
        queue: Sequence[Mapping[str, Scalar]] = (),
        first: int = 0,
        starter: str | None = None,
        on_dead: Callable[[int], object] = int,
        epoch_of: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self._storage = storage
        self._locks = storage.locks
        self.study = self.patiently(
            lambda: SharedStudy(
                study_name,
                storage.optuna,
                sampler=build_sampler(settings.sampler, 0),
                pruner=build_pruner(settings.pruner),
            )
        )
        self.study.limits = settings.limits
        self._settings = settings
        self._n_trials = n_trials
        self._queue = queue
        self._first = first
        self._starter = starter
        self._on_dead = on_dead
        self._epoch_of = epoch_of
        self._dead: list[int] = []  # numbers of trials that were given up, not yet reported to `on_dead`

    def patiently(self, operation: Callable[[], T]) -> T:
        """Returns the result of the operation, which is repeated while the storage does not answer."""
        return self._storage.patience.call(operation)

    def read(self, query: Callable[[optuna.Study], T]) -> T:
        """Returns the answer of the study to a query that changes nothing."""
        return self.patiently(lambda: query(self.study))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Waits for the lock on the results: no other process writes them inside the block, while trials continue."""
        with closing(self.patiently(lambda: self._locks.keep(f"results {self.study.study_name}"))):
            yield

    @contextmanager
    def alive(self, owner: str) -> Iterator[None]:
        """Shows other processes that the process with this name is alive, as long as the block lasts."""
        with closing(self.patiently(lambda: self._locks.keep(f"owner {owner}"))):
            yield
        self._locks.forget(f"owner {owner}")

    def arrive(self, name: str) -> None:
        """Add a command that is `alive` to those that work on the study."""
        self.exclusively(lambda: note_arrival(self.study, self._locks, name))

    def claim(self, owner: str, draw: Callable[[optuna.Trial], T]) -> tuple[optuna.Trial, T | Exception] | NoTrial:
        """Claims the next trial.

        Args:
            owner: the caller's name, under which it is `alive`.
            draw: asks the trial for its parameters.

        Returns:
            The trial and what `draw` returned or raised for it, or the reason why there is no trial.
        """
        return self.exclusively(lambda: self._claim(owner, draw))

    def complete(
        self, trial: optuna.Trial, owner: str, value: float | Sequence[float], attributes: Mapping[str, Any]
    ) -> bool:
        """Ends a trial with the value of each objective.

        Returns False when the trial is no longer the caller's, like the next three methods.
        """
        return self._end_trial(trial.number, owner, TrialState.COMPLETE, value, attributes)

    def prune(self, trial: optuna.Trial, owner: str, attributes: Mapping[str, Any]) -> bool:
        """Ends a trial that the pruner stopped."""
        return self._end_trial(trial.number, owner, TrialState.PRUNED, None, attributes)

    def skip(self, trial: optuna.Trial, owner: str, reason: str, attributes: Mapping[str, Any]) -> bool:
        """Ends a trial that is not trained because its network is over a limit; it counts as pruned."""
        return self._end_trial(trial.number, owner, TrialState.PRUNED, None, {**attributes, REASON: reason})

    def fail(self, trial: optuna.Trial, owner: str, reason: str, attributes: Mapping[str, Any]) -> bool:
        """Ends a trial that raised an error, diverged or cannot be built; it counts, and its reason is stored."""
        return self._end_trial(trial.number, owner, TrialState.FAIL, None, {**attributes, REASON: reason})

    def interrupt(self, trial: optuna.Trial, owner: str, reason: str) -> bool:
        """Ends a trial that was stopped; it does not count, and is tried again when the study is resumed."""
        return self._end_trial(trial.number, owner, TrialState.FAIL, None, {INTERRUPTED: True, REASON: reason})

    def give_up_dead(self, ended: str | None = None) -> list[int]:
        """Ends the trials whose worker is dead as interrupted; returns their numbers.

        Args:
            ended: the name of a command that has just ended its own workers.
        """
        return self.exclusively(lambda: self._give_up_dead(ended))

    def note_stop(self, starter: str) -> None:
        """Notes that a command was asked to stop, at the trials of its workers, which may be killed before they end."""

        def note() -> None:
            for trial in self._trials():
                if trial.state == TrialState.RUNNING and trial.user_attrs.get(STARTER) == starter:
                    self._set_attributes(trial, {STOPPING: True})

        self.exclusively(note)

    def counts(self) -> Counts:
        """Returns how many trials ended how."""
        return count_trials(self.trials(), self._settings.max_retries)

    def count_progress(self) -> int:
        """Returns the number of trials that have ended, without those that lost all their work and are tried again."""
        trials = self.trials()
        without = uncounted(trials, self._settings.max_retries)
        ended = [trial for trial in trials if trial.state.is_finished()]
        return sum(trial.number not in without or ADVANCED in trial.user_attrs for trial in ended)

    def is_done(self) -> bool:
        """Returns whether the study has all its trials, and none is running."""
        counts = self.counts()
        return not counts.running and counts.counted >= self._n_trials

    def is_failing(self) -> bool:
        """Return True if too many trials of this command failed in a row."""
        return self._is_failing(self.trials())

    def open_chains(self) -> set[int]:
        """Returns the chains whose last trial is running, or was interrupted and may be tried again."""
        return open_chains(self.trials(), self._settings.max_retries)

    def chain(self, trial: optuna.Trial) -> tuple[int, int | None]:
        """Returns the number of the first trial of the trial's chain, and of the trial that it tries again, if any."""
        attributes = self.patiently(lambda: trial.user_attrs)
        return int(attributes.get(CHAIN, trial.number)), attributes.get(RETRY_OF)

    def costs(self, trial: optuna.Trial) -> dict[str, float]:
        """Return what the trial's network costs, as far as that is known. A repeated trial has that of the first."""
        return dict(self.patiently(lambda: trial.user_attrs).get(COSTS, {}))

    def note_costs(self, trial: optuna.Trial, costs: Mapping[str, float]) -> None:
        """Store what a trial's network costs, and how far that is above the limits.

        Raises:
            TrialLost: the trial is no longer running, so another process tries it again.
        """

        def note() -> None:
            try:
                trial.set_user_attr(COSTS, dict(costs))
            except UpdateFinishedTrialError as error:
                raise TrialLost(LOST_TRIAL) from error
            noted = trial.constraints  # Optuna warns of one that is set twice
            for name, violation in violations(costs, self._settings.limits).items():
                if name not in noted:
                    trial.set_constraint(name, violation)

        self.patiently(note)

    def trials(self) -> list[FrozenTrial]:
        """Returns all trials by number; they must not be changed."""
        return self.patiently(self._trials)

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def exclusively(self, operation: Callable[[], T]) -> T:
        """Returns the result of the operation; no other process claims or ends a trial of the study meanwhile.

        If the lock is lost the operation is repeated from its beginning, under the lock.
        """

        def locked() -> T:
            with self._storage.exclusive(f"study {self.study.study_name}"):
                return operation()

        result = self.patiently(locked)
        self._report_dead()
        return result

    def _claim(self, owner: str, draw: Callable[[optuna.Trial], T]) -> tuple[optuna.Trial, T | Exception] | NoTrial:
        self._give_up_dead()
        trials = self._trials()
        self.study.sampler = build_sampler(self._settings.sampler, len(trials))
        trial = self._claimed_before(owner, trials) or self._next_trial(owner, trials)
        if isinstance(trial, NoTrial):
            return trial
        try:
            return trial, draw(trial)
        except Exception as error:
            if is_outage(error):
                raise
            return trial, error

    def _claimed_before(self, owner: str, trials: Sequence[FrozenTrial]) -> optuna.Trial | None:
        """Returns the trial of a claim whose answer was lost: a worker that claims one has none."""
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        claimed = [trial for trial in running if trial.user_attrs.get(OWNER) == owner]
        return self.study.trial(claimed[0]._trial_id) if claimed else None

    def _next_trial(self, owner: str, trials: Sequence[FrozenTrial]) -> optuna.Trial | NoTrial:
        counts = count_trials(trials, self._settings.max_retries)
        waiting = any(trial.state == TrialState.WAITING for trial in trials)
        if not waiting and counts.counted + counts.running >= self._n_trials:
            return NoTrial.WAIT if counts.running else NoTrial.DONE
        if self._is_failing(trials):
            return NoTrial.FAILING
        if waiting:  # another program has enqueued it
            trial = self.study.ask()
            for name, value in self._names(owner).items():
                trial.set_user_attr(name, value)
            return trial
        params, attributes = next_parameters(trials, self._settings.max_retries, self._queue, self._epoch_of)
        return self.study.begin(params, {**self._names(owner), **attributes})

    def _names(self, owner: str) -> dict[str, str]:
        """Returns the attributes that say which worker runs a trial, and which process started it."""
        return {OWNER: owner} | ({} if self._starter is None else {STARTER: self._starter})

    def _end_trial(
        self,
        number: int,
        owner: str,
        state: TrialState,
        value: float | Sequence[float] | None,
        attributes: Mapping[str, Any],
    ) -> bool:
        def end() -> bool:
            trial = self._trials()[number]
            if trial.state != TrialState.RUNNING or trial.user_attrs.get(OWNER) != owner:
                # Another process took this worker for dead, and the trial is tried again; or an answer was lost.
                return _has_ended_so(trial, owner, state, attributes)
            self._set_attributes(trial, {**attributes, **self._advance(trial, attributes)})
            self.study.tell(number, value, state)
            return True

        return self.exclusively(end)

    def _set_attributes(self, trial: FrozenTrial, attributes: Mapping[str, Any]) -> None:
        for name, attribute in attributes.items():
            self._storage.optuna.set_trial_user_attr(trial._trial_id, name, attribute)

    def _give_up_dead(self, ended: str | None = None) -> list[int]:
        running = [trial for trial in self._trials() if trial.state == TrialState.RUNNING]
        names = {trial.user_attrs[key] for trial in running for key in (OWNER, STARTER) if key in trial.user_attrs}
        abandoned = self._locks.abandoned({f"owner {name}" for name in names})

        def is_dead(name: str | None) -> bool:
            return f"owner {name}" in abandoned

        # A trial without an owner lost its worker during the claim: we hold the lock that the worker held.
        dead = [trial for trial in running if OWNER not in trial.user_attrs or is_dead(trial.user_attrs[OWNER])]
        for trial in dead:
            starter = trial.user_attrs.get(STARTER)
            is_stopped = STOPPING in trial.user_attrs or (ended is not None and starter == ended)
            reason = (ENDED_WITH_SWEEP if is_stopped else LOST) if is_dead(starter) else KILLED
            attributes = {INTERRUPTED: True, REASON: reason}
            self._set_attributes(trial, {**attributes, **self._advance(trial, attributes)})
            self._dead.append(trial.number)
            self.study.tell(trial.number, state=TrialState.FAIL)
        for lock in abandoned:
            self._locks.forget(lock)
        return [trial.number for trial in dead]

    def _advance(self, trial: FrozenTrial, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the attribute of an interrupted trial whose checkpoint is a later one than before."""
        has_advanced = self._epoch_of(chain_of(trial)) > trial.user_attrs.get(STARTED_AT, 0)
        return {ADVANCED: True} if INTERRUPTED in attributes and has_advanced else {}

    def _report_dead(self) -> None:
        """Calls `on_dead` for the trials that were given up, after the study's lock is free again."""
        while self._dead:
            number = self._dead.pop(0)
            with contextlib.suppress(Exception):  # the study is right even if the store of the runs cannot be reached
                self._on_dead(number)

    def _is_failing(self, trials: Sequence[FrozenTrial]) -> bool:
        settings = self._settings
        return have_failed_in_a_row(trials[self._first :], settings.max_failures, settings.max_retries)


def _has_ended_so(trial: FrozenTrial, owner: str, state: TrialState, attributes: Mapping[str, Any]) -> bool:
    """Returns whether the owner itself has ended the trial like this."""
    stored = {name: trial.user_attrs.get(name) for name in attributes}
    is_equal = json.dumps(stored, sort_keys=True) == json.dumps(dict(attributes), sort_keys=True)
    return trial.state == state and trial.user_attrs.get(OWNER) == owner and is_equal
