"""The times at which the trials of a sweep ran."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.axes import count_axis
from src.figures.trials import OUTCOMES
from src.results import TrialRow

MAX_HEIGHT = 12  # inches
UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


class TimelineBar(NamedTuple):
    """One trial that ended.

    Attributes:
        number: of the trial.
        outcome: COMPLETE, PRUNED, FAIL or INTERRUPTED.
        start: seconds after the start of the first trial.
        seconds: that it took.
    """

    number: int
    outcome: str
    start: float
    seconds: float


def timeline_data(rows: Sequence[TrialRow]) -> list[TimelineBar]:
    """Return the trials that ended, with their times."""
    timed = [(row, row.started, row.seconds) for row in rows if row.outcome in OUTCOMES]
    found = [(row, start, seconds) for row, start, seconds in timed if start is not None and seconds is not None]
    first = min((start for _, start, _ in found), default=datetime.min)
    return [
        TimelineBar(row.number, row.outcome, (start - first).total_seconds(), seconds) for row, start, seconds in found
    ]


def largest_unit(bars: Sequence[TimelineBar]) -> tuple[str, int]:
    """Return the name and the seconds of the largest unit of which all bars together take at least two."""
    end = max(bar.start + bar.seconds for bar in bars)
    return next((unit for unit in UNITS if end >= 2 * unit[1]), UNITS[-1])


def plot_timeline(bars: Sequence[TimelineBar]) -> Figure:
    """Draw a bar for each trial from its start to its end, the first trial on top."""
    unit, size = largest_unit(bars)
    height = min(max(5.5, 0.04 * len(bars)), 2 + 0.2 * len(bars), MAX_HEIGHT)
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    for outcome, (label, color) in OUTCOMES.items():
        kind = [bar for bar in bars if bar.outcome == outcome]
        if kind:
            numbers, seconds = [bar.number for bar in kind], [bar.seconds / size for bar in kind]
            axes.barh(numbers, seconds, left=[bar.start / size for bar in kind], color=color, label=label)
    numbers = [bar.number for bar in bars]
    axes.set(title="when each trial ran", xlabel=f"{unit} since the first trial began", ylabel="trial")
    axes.set_ylim(max(numbers) + 0.7, min(numbers) - 0.7)
    axes.set_xlim(left=0)
    count_axis(axes.yaxis)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=len(OUTCOMES), frameon=False)
    return figure
