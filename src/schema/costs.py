"""The table of costs: what a network takes from those who use it, measured before it is trained.

A new cost is one entry in `COSTS`, besides the function that measures it. Less is always better.
"""

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
