"""The trials of a sweep with several objectives, and the front: the trials that no other dominates."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.figures.axes import (
    CHARACTER,
    LINE,
    SMALL,
    ParameterAxis,
    axis_limits,
    label_parameter,
    label_parameter_vertically,
    parameter_axis,
)
from src.figures.colors import BLUE, GRAY, RED
from src.results import Parameter, TrialRow, format_metric
from src.schema import COSTS, Objective, format_cost, front_of

DECADE = 10.0  # a cost whose values span more has a logarithmic axis
WIDTH, HEIGHT = 9.0, 5.5  # inches of a figure with one panel
NARROW = 4.6  # inches of each of several panels
ROOM = 1.4  # inches of a panel that the labels of its axes take


class Pareto(NamedTuple):
    """The complete trials of a sweep, in their order.

    Attributes:
        objectives: two or three.
        axes: of each objective, with a position for each trial; a cost may have a logarithmic one.
        numbers: of the trials.
        values: of the trials, one for each objective.
        front: the numbers of the trials that no other dominates, the best in the first objective first.
        infeasible: the numbers of the trials whose network is over a limit.
    """

    objectives: list[Objective]
    axes: list[ParameterAxis]
    numbers: list[int]
    values: list[tuple[float, ...]]
    front: list[int]
    infeasible: list[int]


class Panel(NamedTuple):
    """A pair of objectives that is drawn together: the index of the one on the x-axis, and of the one on the y-axis."""

    across: int
    up: int


def finite_trials(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the complete trials by number. A value that is not finite has no place in a figure."""
    found = [row for row in rows if row.state == "COMPLETE" and row.values and all(map(math.isfinite, row.values))]
    return sorted(found, key=lambda row: row.number)


def pareto_data(rows: Sequence[TrialRow], objectives: Sequence[Objective]) -> Pareto | None:
    """Return the complete trials and which of them are on the front, None when there are none."""
    complete = finite_trials(rows)
    if not complete:
        return None
    feasible = [row for row in complete if row.is_comparable]
    front = front_of([row.values for row in feasible], objectives)
    return Pareto(
        objectives=list(objectives),
        axes=[
            _axis_of(objective, [row.values[index] for row in complete]) for index, objective in enumerate(objectives)
        ],
        numbers=[row.number for row in complete],
        values=[row.values for row in complete],
        front=[feasible[index].number for index in front],
        infeasible=[row.number for row in complete if not row.is_feasible],
    )


def _axis_of(objective: Objective, values: Sequence[float]) -> ParameterAxis:
    """Return the axis of an objective: logarithmic for a cost that spans more than a decade."""
    is_cost = objective.name in COSTS
    name = COSTS[objective.name].label if is_cost else objective.name
    better = "more" if objective.direction == "maximize" else "less"
    is_log = is_cost and min(values) > 0 and max(values) / min(values) > DECADE
    return parameter_axis(Parameter(f"{name}, {better} is better", is_log=is_log), values)


def panels_of(objectives: Sequence[Objective]) -> list[Panel]:
    """Return a panel for each pair of objectives. A cost is on the x-axis, and a metric on the y-axis."""
    pairs = combinations(range(len(objectives)), 2)
    return [
        Panel(first, second)
        if objectives[first].name in COSTS and objectives[second].name not in COSTS
        else Panel(second, first)
        for first, second in pairs
    ]


def places_of(data: Pareto, panel: Panel, numbers: Sequence[int]) -> list[tuple[float, float]]:
    """Return the places of trials in a panel."""
    indices = [data.numbers.index(number) for number in numbers]
    return [(data.axes[panel.across].positions[index], data.axes[panel.up].positions[index]) for index in indices]


def others_of(data: Pareto) -> list[int]:
    """Return the numbers of the trials that are feasible but not on the front."""
    return [number for number in data.numbers if number not in data.front and number not in data.infeasible]


def step_of(data: Pareto, panel: Panel) -> Literal["pre", "post"]:
    """Return where the line of the front steps: at the next point if less is better on the x-axis, else at this one.

    Between two points, the best that can be reached is the value of the point that is better on the x-axis.
    """
    return "post" if data.objectives[panel.across].direction == "minimize" else "pre"


def apart(places: Sequence[tuple[float, float]], width: float, height: float) -> list[int]:
    """Return the indices of places that are so far apart that a label of this size fits next to each.

    Args:
        places: in inches.
        width, height: of a label, in inches.
    """
    kept: list[int] = []
    for index, (x, y) in enumerate(places):
        if all(abs(x - places[other][0]) > width or abs(y - places[other][1]) > height for other in kept):
            kept.append(index)
    return kept


def value_label(name: str, value: float) -> str:
    """Return the name of an objective and a value."""
    return f"{name} {format_cost(value) if name in COSTS else format_metric(value)}"


def trials_on_front(count: int) -> str:
    """Return `1 trial is on the front`."""
    return f"{count} trial{'s are' if count != 1 else ' is'} on the front"


def plot_pareto(data: Pareto) -> Figure:
    """Draw a panel for each pair of objectives: the complete trials, and the front with the numbers of its trials.

    With two objectives, steps join the front: what lies behind them is dominated.
    """
    panels = panels_of(data.objectives)
    width = WIDTH if len(panels) == 1 else NARROW
    figure = Figure(figsize=(width * len(panels), HEIGHT), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_panel(axes, data, panel, width - ROOM)
    figure.suptitle(f"complete trials; {trials_on_front(len(data.front))}", fontsize="large")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_panel(axes: Axes, data: Pareto, panel: Panel, inches: float) -> None:
    def draw(numbers: Sequence[int], marker: str, label: str, **style: Any) -> None:
        if numbers:
            axes.plot(*zip(*places_of(data, panel, numbers), strict=True), marker, label=label, **style)

    front = places_of(data, panel, data.front)
    draw(others_of(data), "o", "complete trial", color=GRAY, markersize=6)
    draw(data.infeasible, "x", "over a limit", color=RED, markersize=7, markeredgewidth=1.8)
    if front and len(data.objectives) == 2:
        axes.step(*zip(*sorted(front), strict=True), where=step_of(data, panel), color=BLUE, linewidth=1.5, alpha=0.6)
    draw(data.front, "D", "front, with the numbers of the trials", color=BLUE, markersize=7, zorder=3)
    across, up = data.axes[panel.across], data.axes[panel.up]
    label_parameter(axes, across, inches)
    label_parameter_vertically(axes, up, HEIGHT - ROOM)
    axes.grid(alpha=0.3)
    scales = [
        size / (high - low) for size, (low, high) in ((inches, axis_limits(across)), (HEIGHT - ROOM, axis_limits(up)))
    ]
    inside = [(x * scales[0], y * scales[1]) for x, y in front]
    width = (1 + max(map(len, map(str, data.front)), default=0)) * CHARACTER
    for index in apart(inside, width, LINE):
        style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL}
        axes.annotate(str(data.front[index]), front[index], xytext=(6, 4), **style)
