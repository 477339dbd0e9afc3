"""Which learning rates can be tested, and in how many steps."""

from typing import Any

import pytest

from src.errors import ConfigError
from src.schema import FindLrConfig
from tests.support.configs import INF, NAN, composed


def settings(*typed: str) -> FindLrConfig:
    found: Any = composed(*typed, config_name="find_lr")
    return found


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("min_lr=0", r"min_lr: got 0\.0, expected a number from 1e-30 to 1e\+30"),
        ("min_lr=1e-320", r"min_lr: got 1e-320, expected"),
        (f"min_lr={NAN}", r"min_lr: got nan, expected"),
        ("max_lr=1e-5", r"max_lr: got 1e-05, expected at least 10 times min_lr=1e-05, and at most 1e\+30"),
        ("max_lr=1e-6", r"max_lr: got 1e-06, expected"),
        (f"max_lr={INF}", r"max_lr: got inf, expected"),
        ("max_lr=1e300", r"max_lr: got 1e\+300, expected"),
        ("steps=49", r"steps: got 49, expected 50 to 10,000 batches"),
        ("steps=1000000000", r"steps: got 1000000000, expected 50 to 10,000 batches"),
        ("resume=0123", r"resume=0123: find_lr begins a training of its own; remove `resume`"),
    ],
)
def test_settings_that_say_nothing_about_a_learning_rate_are_refused(typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match="^" + message):
        settings(typed)


def test_the_rates_grow_by_the_same_factor_from_the_smallest_to_the_largest() -> None:
    rates = settings("min_lr=1e-3", "max_lr=10", "steps=81").rates
    assert (rates[0], rates[40], rates[80]) == pytest.approx((1e-3, 0.1, 10))
    assert rates == sorted(rates)


def test_the_test_has_no_schedule_and_trains_a_batch_in_each_call() -> None:
    tested = settings("schedule=cosine", "optimizer=adam", "optimizer.beta_1=0.8").without_schedule()
    assert (tested.schedule.kind, tested.training.steps_per_execution) == ("none", 1)
    assert tested.optimizer == settings("optimizer=adam", "optimizer.beta_1=0.8").optimizer
