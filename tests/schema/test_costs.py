"""The table of costs, and how far a network is above a limit."""

import pytest

from src.schema import COSTS, excess, format_cost, load_name, violations

LIMITS = {"parameters": 100_000.0, "latency_ms": 2.0}


@pytest.mark.parametrize("name", COSTS)
def test_each_cost_is_measured_by_a_function_that_exists(name: str) -> None:
    assert callable(load_name(COSTS[name].measured_by))


def test_a_violation_is_a_share_of_the_limit_so_that_all_costs_have_one_scale() -> None:
    assert violations({"parameters": 150_000, "latency_ms": 1.0}, LIMITS) == {"parameters": 0.5, "latency_ms": -0.5}


def test_a_cost_that_is_not_known_is_allowed() -> None:
    assert violations({"parameters": 1}, {"latency_ms": 2.0}) == {"latency_ms": 0.0}
    assert excess({}, LIMITS) == ""


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ({"parameters": 123_456, "latency_ms": 2.0}, "parameters 123,456 > 100,000"),
        ({"parameters": 123_456, "latency_ms": 2.125}, "parameters 123,456 > 100,000, latency_ms 2.125 > 2"),
        ({"parameters": 100_000, "latency_ms": 2.00001}, "latency_ms 2.00001 > 2.0"),  # rounding would make them equal
        ({"parameters": 100_000, "latency_ms": 2}, ""),
    ],
)
def test_what_is_over_a_limit_is_named_with_both_numbers(costs: dict[str, float], words: str) -> None:
    assert excess(costs, LIMITS) == words


@pytest.mark.parametrize(
    ("value", "text"), [(123_456, "123,456"), (0.41237, "0.4124"), (2.0, "2"), (1234.5, "1,234"), (0.00001, "1e-05")]
)
def test_a_cost_is_short(value: float, text: str) -> None:
    assert format_cost(value) == text
