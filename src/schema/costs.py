"""The table of costs: what a network takes from those who use it, measured before it is trained.

A new cost is one entry in `COSTS`, besides the function that measures it. Less is always better.
"""

from collections.abc import Mapping
from dataclasses import dataclass

INSPECTION = "src.inspection.costs"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A cost of a network.

    Attributes:
        label: the label of its axis, with the unit.
        measured_by: `module:name` of the function that measures it: from a Keras model to a number.
        is_time: True if it is measured with a clock, so that the same network gets another value the next time.
    """

    label: str
    measured_by: str
    is_time: bool = False


COSTS: dict[str, Cost] = {
    "parameters": Cost(label="parameters", measured_by=f"{INSPECTION}:parameters"),
    "model_mb": Cost(label="weights (MB)", measured_by=f"{INSPECTION}:model_mb"),
    "latency_ms": Cost(label="latency (ms)", measured_by=f"{INSPECTION}:latency_ms", is_time=True),
}


def violations(costs: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    """Return how far each cost is above its limit, as a share of the limit: 0.5 is half as much again, 0 is allowed.

    A cost that is not known counts as allowed.
    """
    return {name: costs[name] / limit - 1 if name in costs else 0.0 for name, limit in limits.items()}


def excess(costs: Mapping[str, float], limits: Mapping[str, float]) -> str:
    """Return the costs that are above their limits: `parameters 123,456 > 100,000, latency_ms 2.1 > 2`, or ""."""
    above = [name for name, violation in violations(costs, limits).items() if violation > 0]
    return ", ".join(f"{name} {_compared(costs[name], limits[name])}" for name in above)


def _compared(cost: float, limit: float) -> str:
    """Return both numbers, with all their digits if rounding would make them equal."""
    rounded = format_cost(cost), format_cost(limit)
    return " > ".join(rounded if rounded[0] != rounded[1] else (repr(cost), repr(limit)))


def format_cost(value: float) -> str:
    """Return a cost or its limit for people: `123,456`, `0.4124`."""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.4g}"
