"""The parameters of a study by importance."""

from collections.abc import Sequence

import optuna
import pytest

from src.results import Parameter
from src.schema import Choice, Interval, Objective
from src.study import Storage, picker, rank_parameters
from src.study.claims import Claims
from tests.support.studies import claims_on

SPACE = (
    Interval("model.dropout", 0.0, 0.5),
    Interval("optimizer.learning_rate", 1e-4, 1e-1, log=True),
    Choice("model.dense", ("[16]", None), ([16], None)),
)
KINDS = {
    "model.dropout": Parameter("model.dropout"),
    "optimizer.learning_rate": Parameter("optimizer.learning_rate", is_log=True),
    "model.dense": Parameter("model.dense", choices=("[16]", None)),
}


def study_with(storage: Storage, trials: int, others: Sequence[Objective] = ()) -> optuna.Study:
    """A study whose values depend on the dropout alone, and those of other objectives on the learning rate."""
    claims: Claims = claims_on(storage, n_trials=max(trials, 1), others=others)
    with claims.alive("me"):
        for _ in range(trials):
            found = claims.claim("me", lambda trial: [picker(trial)(dimension) for dimension in SPACE])
            assert isinstance(found, tuple)
            params = found[0].params
            values = [params["model.dropout"], *(params["optimizer.learning_rate"] for _ in others)]
            claims.complete(found[0], "me", values, {})
    return claims.study


def test_the_parameter_that_matters_is_first(memory: Storage):
    ranked = rank_parameters(study_with(memory, 30))
    assert ranked[0].name == "model.dropout"
    importances = [parameter.importance or 0.0 for parameter in ranked]
    assert importances == sorted(importances, reverse=True)
    assert sum(importances) == pytest.approx(1)


def test_with_several_objectives_it_is_the_importance_for_the_first_one(memory: Storage):
    ranked = rank_parameters(study_with(memory, 30, [Objective("parameters", "minimize")]))
    assert ranked == rank_parameters(study_with(memory, 30))


@pytest.mark.parametrize("trials", [1, 4])
def test_a_parameter_says_what_it_is_chosen_from(memory: Storage, trials: int):
    ranked = rank_parameters(study_with(memory, trials))
    assert {parameter.name: parameter._replace(importance=None) for parameter in ranked} == KINDS


def test_of_a_single_trial_the_parameters_are_in_the_order_of_their_names(memory: Storage):
    ranked = rank_parameters(study_with(memory, 1))
    assert [parameter.name for parameter in ranked] == sorted(KINDS)
    assert [parameter.importance for parameter in ranked] == [None] * len(KINDS)


def test_a_study_without_trials_has_no_parameters(memory: Storage):
    assert rank_parameters(study_with(memory, 0)) == []
