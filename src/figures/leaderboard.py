"""A comparison of networks: accuracy, latency and size."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from src.figures.colors import BLUE, GREEN
from src.results import LeaderboardRow
from src.schema import METRICS


def plot_leaderboard(rows: Sequence[LeaderboardRow]) -> Figure:
    """Draw a line for each network, the best at the top: accuracies with their spread, latency, parameters."""
    figure = Figure(figsize=(11, 1.6 + 0.45 * len(rows)), layout="constrained")
    places = range(len(rows), 0, -1)
    accuracy, latency, parameters = figure.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    seeds = rows[0].seeds
    series = (
        ("validation (for ranking)", [row.best_val_accuracy for row in rows], [row.best_val_spread for row in rows]),
        ("test", [row.accuracy for row in rows], [row.spread for row in rows]),
    )
    for (label, means, spreads), color, offset in zip(series, (BLUE, GREEN), (0.12, -0.12), strict=True):
        bars = None if None in spreads else spreads  # a single seed has no spread
        lines = [place + offset for place in places]
        accuracy.errorbar(means, lines, xerr=bars, fmt="o", color=color, capsize=4, label=label)
    of_seeds = f", mean and spread of {seeds} seeds" if seeds > 1 else " of one seed"
    accuracy.set_xlabel(METRICS["accuracy"].label + of_seeds)
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    accuracy.locator_params(axis="x", nbins=6)  # the labels of nearly equal accuracies are long
    latency.barh(places, [1000 * row.latency for row in rows], height=0.5, color=BLUE)
    latency.set_xlabel("latency of one image, ms")
    # Points, because the length of a bar means nothing on a logarithmic axis; with numbers, because it has few ticks.
    parameters.plot([row.parameters for row in rows], places, "o", color=BLUE)
    for place, row in zip(places, rows, strict=True):
        where = (row.parameters, place)
        parameters.annotate(f"{row.parameters:,}", where, (0, 5), textcoords="offset points", ha="center", fontsize=8)
    parameters.set(xscale="log", xlabel="parameters")
    parameters.margins(x=0.3)
    parameters.xaxis.set_minor_formatter(NullFormatter())
    accuracy.set_yticks(places, [row.model for row in rows])
    accuracy.set_ylim(0.4, len(rows) + 0.6)
    for axes in (accuracy, latency, parameters):
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    return figure
