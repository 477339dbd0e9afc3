"""The numbers of every figure of a sweep, and the figures."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.contour import Contour, contour_data, plot_contour
from src.figures.history import History, history_data, plot_history
from src.figures.hypervolume import HypervolumeHistory, hypervolume_data, plot_hypervolume
from src.figures.importances import Importances, importances_data, plot_importances
from src.figures.parallel import ParallelCoordinates, parallel_data, plot_parallel
from src.figures.pareto import Pareto, pareto_data, plot_pareto
from src.figures.slices import Slice, plot_slices, slices_data
from src.figures.timeline import TimelineBar, plot_timeline, timeline_data
from src.figures.trials import TrialCurve, plot_trial_curves, trial_curves_data
from src.results import Parameter, TrialRow
from src.schema import Objective

MAX_PARAMETERS = 6  # the most important ones that a figure shows; more do not fit


class SweepNumbers(NamedTuple):
    """The numbers that the figures of a sweep show.

    A figure for which there are too few trials has None or an empty list. With several objectives, the figures of one
    value show the first of them.

    Attributes:
        metric: the name of the trials' value, or of the first one.
        direction: `maximize` or `minimize`.
        monitor: the metric after each epoch.
        pareto, hypervolume: None with one objective.
    """

    metric: str
    direction: str
    monitor: str
    pareto: Pareto | None
    hypervolume: HypervolumeHistory | None
    curves: list[TrialCurve]
    history: History | None
    importances: Importances | None
    parallel: ParallelCoordinates | None
    slices: list[Slice]
    contour: Contour | None
    timeline: list[TimelineBar]


def sweep_numbers(
    rows: Sequence[TrialRow], parameters: Sequence[Parameter], objectives: Sequence[Objective], monitor: str
) -> SweepNumbers:
    """Return the numbers of every figure.

    Args:
        rows: the trials.
        parameters: the most important first.
        objectives: what compares the trials, one or more.
        monitor: the metric that the trials report after each epoch.
    """
    metric, direction = objectives[0]
    has_front = len(objectives) > 1
    history = history_data(rows, direction)
    is_single = history is None or len(history.numbers) < 2  # it has nothing to compare its parameters with
    shown = [] if is_single else parameters[:MAX_PARAMETERS]
    return SweepNumbers(
        metric,
        direction,
        monitor,
        pareto=pareto_data(rows, objectives) if has_front else None,
        hypervolume=hypervolume_data(rows, objectives) if has_front else None,
        curves=trial_curves_data(rows),
        history=history,
        importances=importances_data(shown),
        parallel=parallel_data(rows, shown, metric),
        slices=slices_data(rows, shown),
        contour=contour_data(rows, shown),
        timeline=timeline_data(rows),
    )


def sweep_figures(numbers: SweepNumbers) -> Iterator[tuple[str, Figure]]:
    """Yield the name and the figure of each plot for which there are enough trials."""
    metric, direction = numbers.metric, numbers.direction
    if numbers.pareto is not None:
        yield "pareto", plot_pareto(numbers.pareto)
    if numbers.hypervolume is not None:
        yield "hypervolume", plot_hypervolume(numbers.hypervolume)
    if numbers.curves:
        yield "intermediate_values", plot_trial_curves(numbers.curves, numbers.monitor)
    if numbers.history is not None:
        yield "history", plot_history(numbers.history, metric)
    if numbers.importances is not None:
        yield "importances", plot_importances(numbers.importances, metric)
    if numbers.parallel is not None:
        yield "parallel_coordinates", plot_parallel(numbers.parallel, metric, direction)
    if numbers.slices:
        yield "slices", plot_slices(numbers.slices, metric)
    if numbers.contour is not None:
        yield "contour", plot_contour(numbers.contour, metric, direction)
    if numbers.timeline:
        yield "timeline", plot_timeline(numbers.timeline)
