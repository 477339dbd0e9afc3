"""The arithmetic of a range test."""

import numpy as np
import pytest

from src.learning_rates import evaluate_losses, has_diverged, smooth

RATES = [10 ** (step / 10 - 4) for step in range(60)]  # from 1e-4 to almost 100


def test_the_average_of_equal_losses_is_their_value_from_the_first_on() -> None:
    assert smooth([2.5] * 4) == pytest.approx([2.5] * 4)
    assert smooth([1.0, 2.0]) == pytest.approx([1.0, (0.9 * 1 + 2) / 1.9])


def test_the_suggestion_is_half_of_the_rate_with_the_smallest_average() -> None:
    losses = [abs(step - 30) / 10 + 0.5 for step in range(60)]
    found = evaluate_losses(RATES, losses)
    assert found.best == int(np.argmin(smooth(losses))) > 30
    assert found.suggestion == pytest.approx(RATES[found.best] / 2)


@pytest.mark.parametrize("losses", [[2.3] * 40, [2.3] * 20 + [5.0] * 20, [2.3]])
def test_a_loss_that_never_falls_suggests_nothing(losses: list[float]) -> None:
    assert evaluate_losses(RATES, losses).suggestion is None


@pytest.mark.parametrize("losses", [[2.3, 300.0], [2.4, 2.0, *np.linspace(2.5, 20.0, 30)]])
def test_a_loss_that_is_smallest_among_the_first_batches_suggests_nothing(losses: list[float]) -> None:
    found = evaluate_losses(RATES, losses)
    assert found.best < 2
    assert found.suggestion is None


def test_a_range_test_that_ended_early_has_the_rates_of_its_batches() -> None:
    assert evaluate_losses(RATES, [3.0, 2.0, 1.0]).rates == RATES[:3]


def test_the_loss_has_diverged_at_four_times_the_smallest_average() -> None:
    assert not has_diverged([1.0] * 50 + [4.0] * 3)
    assert has_diverged([1.0] * 50 + [40.0] * 3)
