"""Networks side by side: how good, how slow, how large."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from src.figures.colours import BLUE
from src.results import LeaderboardRow


def plot_leaderboard(rows: Sequence[LeaderboardRow]) -> Figure:
    """A line for each network, the best on top: test accuracy with its spread, latency, parameters."""
    figure = Figure(figsize=(11, 1.6 + 0.45 * len(rows)), layout="constrained")
    places = range(len(rows), 0, -1)
    accuracy, latency, parameters = figure.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    spreads = [row.spread for row in rows]
    accuracy.errorbar([row.accuracy for row in rows], places, xerr=spreads, fmt="o", color=BLUE, capsize=4)
    seeds = rows[0].seeds
    accuracy.set_xlabel("test accuracy" + (f", mean and spread of {seeds} seeds" if seeds > 1 else " of one seed"))
    accuracy.locator_params(axis="x", nbins=6)  # of networks that hardly differ, the labels are long
    latency.barh(places, [1000 * row.latency for row in rows], height=0.5, color=BLUE)
    latency.set_xlabel("latency of one image, ms")
    # Points, for on a logarithmic axis only places mean something, and with their numbers: it has few that fit.
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
