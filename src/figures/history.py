"""The values of the trials in their order, and the best so far."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.axes import count_axis
from src.figures.colors import BLUE, GRAY, RED
from src.results import TrialRow
from src.schema import sign_of


class History(NamedTuple):
    """Complete trials in their order.

    Attributes:
        numbers: of the trials.
        values: of each.
        best: the best value up to and including each.
        best_trial: the number of the best trial, the first one of equals.
    """

    numbers: list[int]
    values: list[float]
    best: list[float]
    best_trial: int


def history_data(rows: Sequence[TrialRow], direction: str) -> History | None:
    """Return the complete trials, None when there are none; `direction` is `maximize` or `minimize`."""
    found = complete_trials(rows)
    if not found:
        return None
    numbers, values = [row.number for row, _ in found], [value for _, value in found]
    best = list(accumulate(values, max if sign_of(direction) > 0 else min))
    return History(numbers, values, best, numbers[values.index(best[-1])])


def complete_trials(rows: Sequence[TrialRow]) -> list[tuple[TrialRow, float]]:
    """Return the complete trials within the limits, with their values.

    A value that is not finite has no place in a figure.
    """
    return [
        (row, row.value)
        for row in rows
        if row.state == "COMPLETE" and row.value is not None and math.isfinite(row.value) and row.is_feasible
    ]


def plot_history(data: History, metric: str) -> Figure:
    """Draw a point for each trial and the best so far as steps, with a star at the best trial."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(data.numbers, data.values, "o", color=GRAY, markersize=5, label="complete trial")
    axes.step(data.numbers, data.best, where="post", color=BLUE, linewidth=2, label="best so far")
    label = f"best: trial {data.best_trial}"
    axes.plot(data.best_trial, data.best[-1], "*", color=RED, markersize=13, label=label)
    axes.set_title("value of each trial, and the best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(metric, parse_math=False)
    axes.set_xlim(data.numbers[0] - 0.5, data.numbers[-1] + 0.5)
    count_axis(axes.xaxis)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
