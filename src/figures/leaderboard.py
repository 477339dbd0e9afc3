"""A comparison of networks: the metric that ranks them, latency and size."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from src.figures.colors import BLUE, GREEN
from src.results import LeaderboardRow
from src.schema import METRICS

BAND = 7  # points, wider than the cap of an error bar is thick


def plot_leaderboard(rows: Sequence[LeaderboardRow], metric: str = "accuracy") -> Figure:
    """Draw a line for each network, the best at the top: the metric with its spread, latency, parameters.

    A pale band is the 95 % interval on the test images.
    """
    figure = Figure(figsize=(11, 1.6 + 0.45 * len(rows)), layout="constrained")
    places = range(len(rows), 0, -1)
    scores, latency, parameters = figure.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    seeds = rows[0].seeds
    series = (
        ("validation (for ranking)", [row.best_val for row in rows], [row.best_val_spread for row in rows]),
        ("test", [row.test for row in rows], [row.test_spread for row in rows]),
    )
    for (label, means, spreads), color, offset in zip(series, (BLUE, GREEN), (0.12, -0.12), strict=True):
        bars = None if None in spreads else spreads  # a single seed has no spread
        lines = [place + offset for place in places]
        scores.errorbar(means, lines, xerr=bars, fmt="o", color=color, capsize=4, label=label)
    bands = [(place - 0.12, row.interval) for place, row in zip(places, rows, strict=True) if row.interval]
    if bands:
        lows, highs = zip(*(interval for _, interval in bands), strict=True)
        label = "95 % interval, test"
        scores.hlines(
            [line for line, _ in bands], lows, highs, color=GREEN, alpha=0.3, linewidth=BAND, zorder=1, label=label
        )
    of_seeds = f", mean and spread of {seeds} seeds" if seeds > 1 else " of one seed"
    scores.set_xlabel(METRICS[metric].label + of_seeds)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    scores.locator_params(axis="x", nbins=6)  # the labels of nearly equal scores are long
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
    scores.set_yticks(places, [row.model for row in rows])
    scores.set_ylim(0.4, len(rows) + 0.6)
    for axes in (scores, latency, parameters):
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    return figure
