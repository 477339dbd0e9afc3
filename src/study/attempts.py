"""Attempts: the trials that were interrupted, and those that try them again.

An interrupted trial has failed for Optuna. Its user attributes say why, and which trial is tried again by which.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from src.results import Counts
from src.schema import Scalar
from src.study.shared import COSTS

INTERRUPTED = "interrupted"
KILLED = "its worker was killed"  # the only reason of an interruption that counts as a retry
ENDED_WITH_SWEEP = "the sweep was stopped or killed"
LOST = "its machine failed, or its worker and the command of the sweep were killed"
STARTER = "starter"  # the name of the process that started the owner
REASON = "reason"
RETRIES = "retries"
RETRY_OF = "retry_of"
CHAIN = "chain"  # the number of the chain's first trial, at each later one
STARTED_AT = "started_at"  # the epoch of the chain's checkpoint when the trial was put into the queue
ADVANCED = "advanced"  # the checkpoint was a later one when the trial was interrupted
LOSSES = "losses"  # how many earlier trials of the chain were lost with their command
QUEUED = "queued"  # the parameters of the queue that the trial began with, as JSON
STOPPING = "stopping"  # the command was asked to stop while the trial ran
EXTRA_LOSSES = 5  # a machine fails, or somebody kills a sweep, a few times at most before the next checkpoint
STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)


def chain_of(trial: FrozenTrial) -> int:
    """Return the number of the first trial of the chain."""
    return int(trial.user_attrs.get(CHAIN, trial.number))


def is_interrupted(trial: FrozenTrial) -> bool:
    """Return whether the trial was stopped or killed."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(INTERRUPTED))


def is_within_limits(trial: FrozenTrial) -> bool:
    """Return True if the trial's network costs no more than the study allows, as far as that is known."""
    return all(violation <= 0 for violation in trial.constraints.values())


def is_skipped(trial: FrozenTrial) -> bool:
    """Return True if the trial was not trained because its network is over a limit."""
    return trial.state == TrialState.PRUNED and REASON in trial.user_attrs


def can_retry(trial: FrozenTrial, max_retries: int) -> bool:
    """Return whether the trial was interrupted and may be tried again under another number, so it does not count."""
    if not is_interrupted(trial):
        return False
    if counts_as(LOST, trial):
        return bool(trial.user_attrs.get(LOSSES, 0) + 1 < max_retries + EXTRA_LOSSES)
    return not counts_as(KILLED, trial) or bool(trial.user_attrs.get(RETRIES, 0) < max_retries)


def uncounted(trials: Sequence[FrozenTrial], max_retries: int) -> set[int]:
    """Return the numbers of the interrupted trials that do not count, because they were tried again or may be."""
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    return {
        trial.number
        for trial in trials
        if is_interrupted(trial) and (trial.number in retried or can_retry(trial, max_retries))
    }


def open_chains(trials: Sequence[FrozenTrial], max_retries: int) -> set[int]:
    """Return the chains whose last trial is running, or was interrupted and may be tried again."""
    last = {chain_of(trial): trial for trial in trials}
    return {chain for chain, trial in last.items() if not trial.state.is_finished() or can_retry(trial, max_retries)}


def have_failed_in_a_row(trials: Sequence[FrozenTrial], count: int, max_retries: int) -> bool:
    """Return True if the last `count` ended trials that count all failed."""
    without = uncounted(trials, max_retries)
    ended = [trial.state for trial in trials if trial.state.is_finished() and trial.number not in without]
    last = ended[-count:]
    return len(last) == count and set(last) == {TrialState.FAIL}


def next_parameters(
    trials: Sequence[FrozenTrial],
    max_retries: int,
    queue: Sequence[Mapping[str, Scalar]],
    epoch_of: Callable[[int], int],
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return the parameters of the next trial, and its attributes; both are empty if the sampler is to propose.

    Args:
        trials: of the study, by number.
        max_retries: `hydra.sweeper.max_retries`.
        queue: parameters to try first; interrupted trials come before them.
        epoch_of: called with the number of a chain; returns the epoch of its checkpoint, 0 without one.
    """
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    for trial in trials:
        if can_retry(trial, max_retries) and trial.number not in retried:
            return _parameters_of(trial), _attributes_of_retry(trial, epoch_of)
    tried = {trial.user_attrs.get(QUEUED) for trial in trials}
    for params in queue:
        key = json.dumps(params, sort_keys=True)
        if key not in tried:
            return params, {QUEUED: key}
    return {}, {}


def _parameters_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return the parameters of a trial, and those that it was queued with: some may not have been drawn yet."""
    return trial.system_attrs.get("fixed_params", {}) | trial.params


def _attributes_of_retry(trial: FrozenTrial, epoch_of: Callable[[int], int]) -> dict[str, Any]:
    chain = chain_of(trial)
    return {
        RETRIES: trial.user_attrs.get(RETRIES, 0) + counts_as(KILLED, trial),
        LOSSES: trial.user_attrs.get(LOSSES, 0) + counts_as(LOST, trial),
        RETRY_OF: trial.number,
        CHAIN: chain,
        STARTED_AT: epoch_of(chain),
        **{name: trial.user_attrs[name] for name in (QUEUED, COSTS) if name in trial.user_attrs},
    }


def count_attempts(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """Return the number of trials in the chain of a trial, up to and including it."""
    return sum(chain_of(other) == chain_of(trial) and other.number <= trial.number for other in trials)


def counts_as(reason: str, trial: FrozenTrial) -> bool:
    """Return whether a trial was interrupted for this reason, and its checkpoint had not advanced."""
    return ADVANCED not in trial.user_attrs and trial.user_attrs.get(REASON) == reason


def count_trials(trials: Sequence[FrozenTrial], max_retries: int) -> Counts:
    """Return how many trials ended how."""
    retried = uncounted(trials, max_retries)
    by_state = {state: sum(trial.state == state for trial in trials) for state in STATES}
    return Counts(
        complete=by_state[TrialState.COMPLETE],
        pruned=by_state[TrialState.PRUNED],
        failed=by_state[TrialState.FAIL] - len(retried),
        running=by_state[TrialState.RUNNING] + by_state[TrialState.WAITING],
        retried=len(retried),
        skipped=sum(map(is_skipped, trials)),
    )
