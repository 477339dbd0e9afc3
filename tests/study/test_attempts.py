"""Attempts: which trial comes next, which chains are open, and whether too many trials have failed."""

import json
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from src.study.attempts import KILLED, count_trials, have_failed_in_a_row, next_parameters, open_chains

MAX_RETRIES = 2
STATES = {state.name[0]: state for state in TrialState}


def trial_of(letter: str, number: int, **attributes: Any) -> FrozenTrial:
    """A trial by the first letter of its state, `f` for one whose worker was killed."""
    state = STATES[letter.upper()]
    if letter == "f":
        attributes = {"interrupted": True, "reason": KILLED} | attributes
    trial = create_trial(
        state=state,
        value=0.5 if state == TrialState.COMPLETE else None,
        params={"x": number / 10},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs=attributes,
    )
    trial.number = number
    return trial


def trials_of(letters: str) -> list[FrozenTrial]:
    """Trials by the first letters of their states; each has as many retries as trials were killed before it."""
    return [trial_of(letter, number, retries=letters[:number].count("f")) for number, letter in enumerate(letters)]


@pytest.mark.parametrize(
    ("ended", "failing"),
    [
        ("FFF", True),
        ("FF", False),
        ("FFCF", False),
        ("FFPF", False),
        ("CFFF", True),
        ("FfFF", True),
        ("FFRF", True),
        ("ff", False),
        ("FFfff", True),  # the third time it is not tried again: it counts
        ("FFFC", False),
    ],
)
def test_trials_have_failed_in_a_row_if_the_last_ones_that_count_did(ended: str, failing: bool) -> None:
    assert have_failed_in_a_row(trials_of(ended), 3, MAX_RETRIES) is failing


def retried_with_a_larger_limit(end: str) -> list[FrozenTrial]:
    """The attempts of one trial: a limit of 0 does not allow the second one, but an earlier limit did."""
    return [trial_of("f", 0), trial_of(end, 1, retry_of=0, retries=1, chain=0)]


@pytest.mark.parametrize("end", ["C", "F", "R"])
def test_a_trial_that_was_tried_again_does_not_count_when_the_limit_becomes_smaller(end: str) -> None:
    counts = count_trials(retried_with_a_larger_limit(end), max_retries=0)
    assert (counts.counted + counts.running, counts.retried) == (1, 1)


def test_a_trial_that_was_tried_again_is_not_a_failure_when_the_limit_becomes_smaller() -> None:
    assert not have_failed_in_a_row(retried_with_a_larger_limit("F"), 2, max_retries=0)


@pytest.mark.parametrize(("end", "is_open"), [("R", True), ("f", True), ("F", False), ("C", False), ("P", False)])
def test_only_a_trial_that_runs_or_was_interrupted_leaves_its_chain_open(end: str, is_open: bool) -> None:
    assert open_chains([trial_of(end, 4)], MAX_RETRIES) == ({4} if is_open else set())


def test_the_last_trial_of_a_chain_decides_whether_it_is_open() -> None:
    trials = [trial_of("f", 0), trial_of("f", 1), trial_of("C", 2, chain=0), trial_of("R", 3, chain=1)]
    assert open_chains(trials, MAX_RETRIES) == {1}


QUEUE = [{"x": 0.75}, {"x": 0.25}]


def test_the_parameters_of_an_interrupted_trial_come_before_the_queue() -> None:
    trials = [trial_of("C", 0), trial_of("f", 1, chain=0, retries=1, costs={"parameters": 7})]
    params, attributes = next_parameters(trials, MAX_RETRIES, QUEUE, epoch_of=lambda chain: 5 + chain)
    assert params == {"x": 0.1}
    assert attributes == {
        "retries": 2,
        "losses": 0,
        "retry_of": 1,
        "chain": 0,
        "started_at": 5,
        "costs": {"parameters": 7},
    }


@pytest.mark.parametrize(
    "trials",
    [
        pytest.param([trial_of("f", 0), trial_of("C", 1, retry_of=0)], id="it was tried again"),
        pytest.param([trial_of("f", 0, retries=MAX_RETRIES)], id="it was tried too often"),
        pytest.param([trial_of("F", 0)], id="it failed"),
    ],
)
def test_a_trial_that_is_not_tried_again_leaves_the_turn_to_the_queue(trials: list[FrozenTrial]) -> None:
    params, attributes = next_parameters(trials, MAX_RETRIES, QUEUE, epoch_of=lambda _: 0)
    assert (params, attributes) == (QUEUE[0], {"queued": json.dumps(QUEUE[0])})


def test_the_sampler_proposes_after_the_queue() -> None:
    trials = [trial_of("C", number, queued=json.dumps(params)) for number, params in enumerate(QUEUE)]
    assert next_parameters(trials[:1], MAX_RETRIES, QUEUE, epoch_of=lambda _: 0)[0] == QUEUE[1]
    assert next_parameters(trials, MAX_RETRIES, QUEUE, epoch_of=lambda _: 0) == ({}, {})
