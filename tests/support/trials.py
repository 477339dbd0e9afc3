"""Rows of trials and the parameters of their space, without a study."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from src.results import Parameter, TrialRow
from src.schema import Objective

METRIC = "val_accuracy"
ACCURACY = Objective(METRIC, "maximize")
SIZE = Objective("parameters", "minimize")
LONG = "model.stages.3.blocks.0.squeeze_excite_ratio_of_the_very_long_named_block"
RATE = Parameter("optimizer.learning_rate", 0.5, is_log=True)
FILTERS = Parameter("model.conv.0.filters", 0.3)
DENSE = Parameter("model.dense", 0.1, choices=("[16]", "[32,16]", "[64,32,16]", "[128,64,32,16]", "[256]"))
BATCH = Parameter("training.batch_size", 0.05, choices=(16, 32, 64, 128, 256, 512))
CUT = Parameter("augmentation", 0.03, choices=(None, "light", "a_really_long_name_that_never_ends_and_then_some"))
DROPOUT = Parameter(LONG, 0.02)
MANY = Parameter("dataset.folder", 0.6, choices=tuple(f"folder_number_{number}" for number in range(40)))
MANY_TOO = Parameter("model", 0.4, choices=tuple(f"model_number_{number}" for number in range(40)))
SPACES: dict[str, list[Parameter]] = {
    "one parameter": [RATE],
    "six parameters": [RATE, FILTERS, DENSE, BATCH, CUT, DROPOUT],
    "long names": [DROPOUT, CUT],
    "many choices": [MANY, MANY_TOO],
}


def row(number: int, value: float | None = None, state: str = "COMPLETE", **changes: Any) -> TrialRow:
    """A trial of one epoch that took a second."""
    reported = {} if value is None else {1: value}
    plain = TrialRow(number, state, value, {}, 1.0, 1, len(reported), reported, None, False, "")
    return plain._replace(**changes)


def rows_of(space: Sequence[Parameter], count: int, epochs: int = 8) -> list[TrialRow]:
    """Trials with drawn parameters; of more than three a quarter is pruned and some fail or are interrupted."""
    numbers = random.Random(0)
    started = datetime(2026, 11, 28, 12)
    rows = []
    for number in range(count):
        params = {parameter.name: _draw(parameter, numbers) for parameter in space}
        quality = numbers.random()
        ends = [("COMPLETE", False)] * 13 + [("PRUNED", False)] * 5 + [("FAIL", False), ("FAIL", True)]
        state, is_interrupted = numbers.choice(ends) if count > 3 and number else ends[0]
        last = epochs if state == "COMPLETE" else min(epochs, 2)
        reported = {epoch: quality * (1 - 0.7**epoch) for epoch in range(1, last + 1)}
        started += timedelta(seconds=20)
        value = None if state == "FAIL" else reported[last]
        rows.append(
            TrialRow(
                number, state, value, params, 30.0, last, last, reported, None, is_interrupted, "", started=started
            )
        )
    return rows


def two_objectives(count: int) -> list[TrialRow]:
    """Complete trials with an accuracy and a number of parameters that spans two decades; larger ones are better."""
    numbers = random.Random(count)
    sizes = [float(round(10 ** numbers.uniform(3, 5))) for _ in range(count)]
    return [
        row(number, 1 - (50 / size) ** 0.5 * numbers.uniform(0.8, 1.6), others=(size,))
        for number, size in enumerate(sizes)
    ]


def _draw(parameter: Parameter, numbers: random.Random) -> Any:
    if parameter.choices is not None:
        return numbers.choice(parameter.choices)
    if parameter.is_log:
        return 10 ** numbers.uniform(-5, -1)
    return numbers.randint(4, 64) if parameter is FILTERS else numbers.random()
