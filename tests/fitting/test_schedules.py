"""Learning-rate schedules as functions of the step."""

from typing import Any

import pytest

from src.cli.compose import compose_config
from src.fitting.schedules import build_schedule


def cosine_rate(warmup_epochs: float, epochs: int, steps: int) -> Any:
    """The learning rate as a function of the step, with 0.5 after the warm-up and a fifth of that at the end."""
    typed = [f"schedule.warmup_epochs={warmup_epochs}", "schedule.alpha=0.2", f"training.epochs={epochs}"]
    config = compose_config(["schedule=cosine", "optimizer.learning_rate=0.5", *typed])
    return build_schedule(config, steps).learning_rate


@pytest.mark.parametrize(
    ("warmup_epochs", "rates"), [(2, {0: 0, 8: 0.25, 16: 0.5, 28: 0.3, 40: 0.1}), (0, {0: 0.5, 20: 0.3, 40: 0.1})]
)
def test_cosine_warms_up_to_the_learning_rate_and_falls_to_alpha_times_it(warmup_epochs: int, rates: Any) -> None:
    rate = cosine_rate(warmup_epochs, epochs=5, steps=8)
    assert {step: float(rate(step)) for step in rates} == pytest.approx(rates)


@pytest.mark.parametrize(("warmup_epochs", "epochs", "steps"), [(1.9, 2, 4), (0.6, 1, 1)])
def test_a_warm_up_leaves_at_least_one_step(warmup_epochs: float, epochs: int, steps: int) -> None:
    rate = cosine_rate(warmup_epochs, epochs, steps)
    assert float(rate(epochs * steps)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("typed", "rates"),
    [
        ("step schedule.factor=0.1 schedule.step_epochs=2", {0: 0.5, 15: 0.5, 16: 0.05, 31: 0.05, 32: 0.005}),
        ("step schedule.factor=0.1 training.epochs=6", {0: 0.5, 15: 0.5, 16: 0.05, 32: 0.005}),
        ("exponential schedule.factor=0.5", {0: 0.5, 4: 0.5 * 0.5**0.5, 8: 0.25, 16: 0.125}),
        ("polynomial schedule.alpha=0.2", {0: 0.5, 20: 0.3, 40: 0.1}),
        ("polynomial schedule.power=2", {0: 0.5, 20: 0.125, 40: 0}),
        (
            "one_cycle schedule.warmup_fraction=0.4 schedule.initial_fraction=0.2 schedule.alpha=0.2",
            {0: 0.1, 8: 0.3, 16: 0.5, 28: 0.3, 40: 0.1},
        ),
        (
            "cosine_restarts schedule.cycles=2 schedule.factor=4 schedule.height=0.5",
            {0: 0.5, 4: 0.25, 8: 0.25, 24: 0.125, 39.99: 0},
        ),
    ],
)
def test_schedules_have_their_rate_at_each_step(typed: str, rates: dict[int, float]) -> None:
    name, *others = typed.split()
    config = compose_config([f"schedule={name}", "training.epochs=5", "optimizer.learning_rate=0.5", *others])
    rate: Any = build_schedule(config, 8).learning_rate
    assert {step: float(rate(step)) for step in rates} == pytest.approx(rates, abs=1e-6)
