"""Sentences about limits: networks that were not trained, limits that nothing meets, a winner that is over one."""

import pytest

from src.reports.limits import describe_skipped, explain_limits, explain_winner
from src.results import TrialRow
from tests.support.trials import row

LIMITS = {"parameters": 1000.0}


def skipped(number: int, **costs: float) -> TrialRow:
    return row(number, None, "PRUNED", epochs=0, best_epoch=None, seconds=0.1, reason="over", costs=costs)


def test_the_description_says_how_many_networks_were_not_trained_and_the_time_that_saved() -> None:
    trained = [row(0, 0.5, seconds=10.0), row(1, 0.6, seconds=30.0), row(2, 0.1, "PRUNED", seconds=12.0)]
    rows = [*trained, skipped(3, parameters=2000), skipped(4, parameters=2000)]
    assert describe_skipped(rows, LIMITS) == (
        "2 networks were over a limit (parameters 1,000) and not trained. That saved about 24 s: 2 times 12 s, the "
        "median time of a trained trial."
    )
    assert describe_skipped(trained, LIMITS) == ""


def test_without_a_trained_trial_there_is_no_estimate() -> None:
    sentence = describe_skipped([skipped(0, parameters=2000)], LIMITS)
    assert sentence == "1 network was over a limit (parameters 1,000) and not trained."
    assert describe_skipped([skipped(0)], {}) == "1 network was over an earlier limit and not trained."


def test_limits_that_no_network_meets_are_named_with_the_smallest_value() -> None:
    rows = [skipped(0, parameters=5000), skipped(1, parameters=2000)]
    assert explain_limits(rows, LIMITS) == (
        "none of 2 networks meets hydra.sweeper.constraints: the lowest value of parameters is 2,000 (limit 1,000); "
        "raise the limit, or search among smaller networks"
    )


def test_networks_that_were_trained_under_a_higher_limit_do_not_meet_the_limit_of_now() -> None:
    rows = [row(0, 0.5, costs={"parameters": 5000}, excess="parameters 5,000 > 1,000")]
    assert "the lowest value of parameters is 5,000 (limit 1,000)" in explain_limits(rows, LIMITS)


def test_only_the_limits_that_nothing_meets_are_named() -> None:
    rows = [skipped(0, parameters=5000, model_mb=1.0)]
    sentence = explain_limits(rows, LIMITS | {"model_mb": 2.0, "latency_ms": 1.0})
    assert "the lowest value of parameters is 5,000" in sentence
    assert "model_mb" not in sentence
    assert "latency_ms" not in sentence  # a network that is over another limit is not timed


@pytest.mark.parametrize(
    ("rows", "enough"),
    [
        ([], 1),
        ([skipped(0, parameters=2000)], 2),  # too early
        ([skipped(0, parameters=2000), row(1, 0.5)], 1),
        ([skipped(0, parameters=2000), row(1, 0.5, "PRUNED")], 1),  # the pruner ended it, so it was trained
        ([skipped(0, parameters=2000), row(1, None, "FAIL")], 1),
        ([skipped(0, parameters=2000), row(1, None, "RUNNING", costs={"parameters": 500})], 1),
        ([skipped(0, parameters=500)], 1),  # over an earlier limit, which was lower
    ],
)
def test_nothing_is_said_too_early_or_after_a_network_that_met_the_limits(rows: list[TrialRow], enough: int) -> None:
    assert explain_limits(rows, LIMITS, enough) == ""


def test_running_and_interrupted_trials_say_nothing_about_limits() -> None:
    rows = [skipped(0, parameters=2000), row(1, None, "RUNNING"), row(2, None, "FAIL", interrupted=True)]
    assert explain_limits(rows, LIMITS).startswith("the only network does not meet hydra.sweeper.constraints: ")


def test_a_winner_over_a_limit_is_named() -> None:
    assert explain_winner(7, {"latency_ms": 2.5}, {"latency_ms": 2.0}) == (
        "trial 7 is over a limit when its network is measured again: latency_ms 2.5 > 2"
    )
    assert explain_winner(7, {"latency_ms": 2.0}, {"latency_ms": 2.0}) == ""
