"""The importance of each parameter of a sweep."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from src.figures.axes import SMALL, wrap_name
from src.figures.colors import BLUE
from src.results import Parameter


class Importances(NamedTuple):
    """Parameters, the most important first, and the importance of each; all together make 1."""

    names: list[str]
    values: list[float]


def importances_data(parameters: Sequence[Parameter]) -> Importances | None:
    """Return the parameters whose importance is known, None when there are none."""
    known = [(parameter.name, parameter.importance) for parameter in parameters if parameter.importance is not None]
    return Importances([name for name, _ in known], [value for _, value in known]) if known else None


def plot_importances(data: Importances, metric: str) -> Figure:
    """Draw a bar for each parameter, the most important on top."""
    names = [wrap_name(name, 40) for name in data.names]
    lines = sum(1.5 + name.count("\n") for name in names)
    figure = Figure(figsize=(9, max(2.5, 1.3 + 0.22 * lines)), layout="constrained")
    axes = figure.subplots()
    places = range(len(names), 0, -1)
    bars = axes.barh(places, data.values, height=0.6, color=BLUE)
    axes.bar_label(bars, [f"{value:.2f}" for value in data.values], padding=3, fontsize=SMALL)
    axes.set_yticks(places, names, fontsize=SMALL + 1, parse_math=False)
    axes.set_ylim(0.3, len(names) + 0.7)
    axes.set_xlim(0, 1.12 * max(data.values) or 1)
    axes.set_title("importance of each parameter")
    axes.set_xlabel(f"importance for {metric}; all parameters add up to 1", parse_math=False)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure
