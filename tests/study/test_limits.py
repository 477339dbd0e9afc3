"""Limits of what a network may cost: trials that are not trained, and trials that are over a limit now."""

import warnings
from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler

from src.errors import ConfigError
from src.results import Counts
from src.schema import find_kind
from src.study import LIMIT, Claims, Storage, TrialLost, check_setting, first_of_setting, ranked, trial_rows
from src.study.sampling import build_pruner
from tests.support.studies import claimed, claims_on

LIMITS = {"parameters": 100.0}


def end(claims: Claims, parameters: float | None, value: float | None = None) -> optuna.Trial:
    """Run a trial whose network costs this much; without a value it is not trained."""
    trial = claimed(claims)
    if parameters is not None:
        claims.note_costs(trial, {"parameters": parameters})
    if value is None:
        assert claims.skip(trial, "me", f"parameters {parameters} > 100", {})
    else:
        assert claims.complete(trial, "me", value, {})
    return trial


def with_limit(claims: Claims, storage: Storage, limit: float | None) -> Claims:
    """The same study, continued with another limit."""
    return claims_on(storage, claims.study.study_name, n_trials=9, constraints={"parameters": limit})


def test_a_trial_that_is_not_trained_counts_as_pruned_and_has_its_reason(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=3, constraints=LIMITS)
    end(claims, 150)
    end(claims, 50, 0.5)
    counts = Counts(complete=1, pruned=1, failed=0, running=0, retried=0, skipped=1)
    assert (claims.counts(), claims.counts().counted) == (counts, 2)
    skipped, trained = trial_rows(claims.trials(), limits=LIMITS)
    assert (skipped.state, skipped.reason, skipped.epochs) == ("PRUNED", "parameters 150 > 100", 0)
    assert (skipped.is_skipped, trained.is_skipped) == (True, False)
    assert (skipped.costs, trained.costs) == ({"parameters": 150}, {"parameters": 50})


def test_a_trial_that_the_pruner_ended_was_trained(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=1, constraints=LIMITS)
    trial = claimed(claims)
    claims.note_costs(trial, {"parameters": 50})
    trial.report(0.5, 1)
    claims.prune(trial, "me", {"epochs": 1})
    assert claims.counts().skipped == 0
    assert not trial_rows(claims.trials(), limits=LIMITS)[0].is_skipped


def test_optuna_gets_the_violation_of_each_limit(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=1, constraints=LIMITS | {"model_mb": 4.0})
    trial = claimed(claims)
    claims.note_costs(trial, {"parameters": 150, "model_mb": 1.0})
    assert trial.constraints == {"parameters": 0.5, "model_mb": -0.75}
    stored = optuna.load_study(study_name=claims.study.study_name, storage=memory.optuna)  # Optuna's own class
    assert stored.trials[0].constraints == trial.constraints


def test_costs_may_be_stored_again_after_an_outage(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=1, constraints=LIMITS)
    trial = claimed(claims)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        claims.note_costs(trial, {"parameters": 150})
        claims.note_costs(trial, {"parameters": 150})


def test_costs_of_a_trial_that_another_process_has_ended_stop_its_worker(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=1, constraints=LIMITS)
    trial = claimed(claims)
    claims.interrupt(trial, "me", "it was stopped")
    with pytest.raises(TrialLost):
        claims.note_costs(trial, {"parameters": 50})


@pytest.mark.parametrize(("limit", "best"), [(100.0, 0.5), (200.0, 0.75), (10.0, None), (None, 0.9)])
def test_the_best_of_a_study_that_continues_is_within_its_current_limit(
    memory: Storage, limit: float | None, best: float | None
) -> None:
    claims = claims_on(memory, n_trials=9)
    for parameters, value in ((50, 0.5), (150, 0.75), (250, 0.9)):
        end(claims, parameters, value)
    claims = with_limit(claims, memory, limit)
    rows = trial_rows(claims.trials(), limits={} if limit is None else {"parameters": limit})
    assert next((row.value for row in ranked(rows, "maximize")), None) == best


def test_a_complete_trial_over_the_current_limit_says_so_and_stays_complete(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=9)
    end(claims, 150, 0.75)
    (row,) = trial_rows(claims.trials(), limits=LIMITS)
    assert (row.state, row.value, row.reason) == ("COMPLETE", 0.75, "over the limit: parameters 150 > 100")
    assert not row.is_skipped


def test_a_trial_of_unknown_costs_is_within_the_limits(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=9)
    end(claims, None, 0.75)
    (row,) = trial_rows(claims.trials(), limits=LIMITS)
    assert row.is_feasible


def test_samplers_see_the_violations_of_the_current_limit_and_each_limit_at_every_trial(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=9, constraints={"parameters": 1000.0})
    end(claims, 150, 0.75)
    end(claims, None, 0.5)
    claims = with_limit(claims, memory, 100.0)
    seen = claims.study._get_trials(deepcopy=False, use_cache=True)  # as a sampler asks
    assert [trial.constraints for trial in seen] == [{"parameters": 0.5}, {"parameters": 0.0}]
    claims = with_limit(claims, memory, None)
    assert [trial.constraints for trial in claims.trials()] == [{}, {}]


def test_a_repeated_trial_keeps_its_costs(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=2, constraints=LIMITS)
    with claims.alive("me"):
        trial = claimed(claims)
        claims.note_costs(trial, {"parameters": 50})
        claims.interrupt(trial, "me", "it was stopped")
        again = claimed(claims)
    assert (claims.chain(again), claims.costs(again)) == ((0, 0), {"parameters": 50})


def test_a_pruner_ignores_trials_that_were_not_trained(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=9, constraints=LIMITS)
    claims.study.pruner = build_pruner(find_kind("pruner", "median")(n_startup_trials=1))
    end(claims, 150)
    trial = claimed(claims)
    trial.report(0.1, 1)
    assert not trial.should_prune()  # one trial has ended, but nothing can be compared with it
    claims.complete(trial, "me", 0.1, {})
    worse = claimed(claims)
    worse.report(0.05, 1)
    assert worse.should_prune()


def test_limits_that_every_network_meets_do_not_change_what_tpe_proposes(memory: Storage) -> None:
    def proposals(**settings: Any) -> list[float]:
        claims = claims_on(memory, n_trials=99, sampler="tpe", **settings)
        for _ in range(14):  # ten of them at random
            trial = claimed(claims)
            if settings:
                claims.note_costs(trial, {"parameters": 50})
            claims.complete(trial, "me", trial.params["x"], {})
        return [trial.params["x"] for trial in claims.trials()]

    assert proposals(constraints=LIMITS) == proposals()


def test_tpe_learns_from_networks_that_were_not_trained(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=99, sampler="tpe", constraints=LIMITS)
    for _ in range(25):
        trial = claimed(claims)
        parameters = 1000 * trial.params["x"]  # a tenth of the space is allowed
        claims.note_costs(trial, {"parameters": parameters})
        if parameters > 100:
            claims.skip(trial, "me", "too large", {})
        else:
            claims.complete(trial, "me", 1 - trial.params["x"], {})
    assert isinstance(claims.study.sampler, TPESampler)
    skipped = [row.is_skipped for row in trial_rows(claims.trials())]
    assert sum(skipped[:10]) >= 8  # random proposals
    assert sum(skipped[15:]) <= 5


def test_another_limit_is_refused_by_its_name_and_does_not_change_the_configuration_of_earlier_trials(
    memory: Storage,
) -> None:
    claims = claims_on(memory, n_trials=9)
    name = f"{LIMIT}parameters"
    check_setting(claims.study, {name: "100.0"}, [], "error")
    end(claims, 50, 0.5)
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.constraints\.parameters was 100\.0, is 50\.0.*on_change"):
        check_setting(claims.study, {name: "50.0"}, [], "error")
    check_setting(claims.study, {name: "50.0"}, [], "continue")
    assert first_of_setting(claims.study) == 0
