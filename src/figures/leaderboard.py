"""Networks side by side: how good, how slow, how large."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from src.figures.colours import BLUE
from src.results import LeaderboardRow


def plot_leaderboard(rows: Sequence[LeaderboardRow]) -> Figure:
    """A line for each network, the best on top: test accuracy with its spread, latency, parameters."""
    figure = Figure(figsize=(11, 1.6 + 0.45 * len(rows)), layout="constrained")
    places = range(len(rows), 0, -1)
    accuracy, latency, parameters = figure.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    spreads = [row.spread for row in rows]
    accuracy.errorbar([row.accuracy for row in rows], places, xerr=spreads, fmt="o", color=BLUE, capsize=4)
    accuracy.set_xlabel(f"test accuracy, mean and spread of {rows[0].seeds} seeds")
    latency.barh(places, [1000 * row.latency for row in rows], height=0.5, color=BLUE)
    latency.set_xlabel("latency of one image, ms")
    parameters.barh(places, [row.parameters for row in rows], height=0.5, color=BLUE)
    parameters.set(xscale="log", xlabel="parameters")
    accuracy.set_yticks(places, [row.model for row in rows])
    accuracy.set_ylim(0.4, len(rows) + 0.6)
    for axes in (accuracy, latency, parameters):
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    return figure
