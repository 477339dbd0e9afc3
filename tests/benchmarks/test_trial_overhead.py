"""The fixed cost of a trial, from what sweeps record, and the memory of their workers."""

import pytest

from benchmarks.trial_overhead import Growth, Trial, fixed_costs


def test_the_fixed_cost_is_what_later_epochs_do_not_explain_in_trials_but_the_first_and_the_last() -> None:
    cold = Trial(0.0, 49.0, [40.0, 1.0, 1.0])
    warm = [Trial(50.0 + 5 * at, 54.0 + 5 * at, [1.5, 1.0, 1.0]) for at in range(3)]
    found = fixed_costs([cold, *warm, Trial(65.0, 999.0, [900.0, 1.0, 1.0])])
    assert found == {
        "fixed_seconds": pytest.approx(2.0),
        "trial_seconds": pytest.approx(5.0),
        "first_epoch_seconds": 1.5,
        "later_epoch_seconds": 1.0,
    }


def test_the_memory_after_some_trials_is_the_most_until_then() -> None:
    growth = Growth()
    growth.peaks = [(1.0, 700.0), (2.0, 900.0), (3.0, 800.0), (4.0, 1000.0)]
    assert [growth.until(moment) for moment in (0.5, 1.5, 3.5, 9.0)] == [0.0, 700.0, 900.0, 1000.0]
