"""The hypervolume of a sweep with several objectives: the part of the space that its trials cover so far."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.axes import count_axis
from src.figures.colors import BLUE
from src.figures.pareto import finite_trials, trials_on_front, value_label
from src.results import TrialRow
from src.schema import Objective, improves, losses_of


class HypervolumeHistory(NamedTuple):
    """The hypervolume of the trials so far.

    Attributes:
        numbers: of the complete trials, in their order.
        volumes: of the trials up to and including each.
        reference: the worst value of each objective among the complete trials, as text.
        on_front: how many trials are on the front in the end.
    """

    numbers: list[int]
    volumes: list[float]
    reference: list[str]
    on_front: int


def hypervolume(losses: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume of the points that one of these dominates and that dominate the reference point.

    The volume is cut into slices along the last objective (Zitzler 2001, "Hypervolume Metric Calculation").

    Args:
        losses: two or more values of each trial; less is better.
        reference: the worst value of each; a trial that is worse covers nothing.
    """
    inside = [point for point in losses if all(loss <= worst for loss, worst in zip(point, reference, strict=True))]
    inside.sort(key=lambda point: point[-1])
    edges = [*(point[-1] for point in inside), reference[-1]]
    if len(reference) == 2:
        areas = [reference[0] - best for best in accumulate((point[0] for point in inside), min)]
    else:
        cut = [point[:-1] for point in inside]
        areas = [hypervolume(cut[: index + 1], reference[:-1]) for index in range(len(cut))]
    return sum(area * (end - start) for area, start, end in zip(areas, edges, edges[1:], strict=False))


def hypervolume_data(rows: Sequence[TrialRow], objectives: Sequence[Objective]) -> HypervolumeHistory | None:
    """Return the hypervolume after each complete trial, None when there is none. Only feasible trials cover anything.

    Args:
        rows: the trials by number.
        objectives: two or three.
    """
    complete = finite_trials(rows)
    if not complete:
        return None
    losses = [losses_of(row.values, objectives) for row in complete]
    worst = [losses.index(max(losses, key=lambda point: point[axis])) for axis in range(len(objectives))]
    reference = [losses[index][axis] for axis, index in enumerate(worst)]
    front: list[TrialRow] = []
    volumes: list[float] = []
    for row in complete:
        if row.is_comparable and improves(row.values, (other.values for other in front), objectives):
            front = [other for other in front if improves(other.values, [row.values], objectives)] + [row]
            volumes.append(hypervolume([losses_of(other.values, objectives) for other in front], reference))
        else:
            volumes.append(volumes[-1] if volumes else 0.0)
    named = [
        value_label(objective.name, complete[index].values[axis])
        for axis, (objective, index) in enumerate(zip(objectives, worst, strict=True))
    ]
    return HypervolumeHistory([row.number for row in complete], volumes, named, len(front))


def reference_words(data: HypervolumeHistory) -> str:
    """Return the sentence about the reference point."""
    return f"reference point, the worst value of each objective: {', '.join(data.reference)}"


def plot_hypervolume(data: HypervolumeHistory) -> Figure:
    """Draw the hypervolume as steps."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    axes.step(data.numbers, data.volumes, where="post", color=BLUE, linewidth=2)
    axes.plot(data.numbers, data.volumes, "o", color=BLUE, markersize=4)
    axes.set_title(f"hypervolume of the trials so far; {trials_on_front(data.on_front)}")
    axes.set_xlabel(f"trial\n\n{reference_words(data)}", parse_math=False)
    axes.set_ylabel("hypervolume")
    axes.set_xlim(data.numbers[0] - 0.5, data.numbers[-1] + 0.5)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    count_axis(axes.xaxis)
    axes.grid(alpha=0.3)
    return figure
