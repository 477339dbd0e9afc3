"""Axes for the figures of a sweep: parameters of any kind, numbers of trials and epochs, labels that do not overlap."""

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from src.redact import redact
from src.results import Parameter, printable
from src.schema import sign_of

SMALL = 8  # points, for the labels of ticks
CHARACTER, LINE = 0.068, 0.15  # inches that a character of this size takes, and a line of them
MAX_TICKS = 6  # on the axis of a number
MAX_CHOICE = 24  # characters of a choice
BETTER = ListedColormap(colormaps["Blues"](np.linspace(0.25, 1, 256)), "better")  # the palest blues vanish on white
LATER = ListedColormap(colormaps["viridis_r"](np.linspace(0.15, 1, 256)), "later")


class ParameterAxis(NamedTuple):
    """An axis for the values of a parameter, with its logarithm or the place of a choice as the position.

    Attributes:
        name: the parameter's.
        positions: of each value.
        ticks: positions to label.
        labels: one for each tick.
        is_choice: whether the positions count choices.
    """

    name: str
    positions: list[float]
    ticks: list[float]
    labels: list[str]
    is_choice: bool = False


def parameter_axis(parameter: Parameter, values: Sequence[Any]) -> ParameterAxis:
    """Return the axis for these values. The axis of a choice has the choices that occur, in the order of the space."""
    if parameter.choices is not None or not all(_is_number(value) for value in values):
        occurring = set(map(str, values))
        choices = [choice for choice in map(str, parameter.choices or ()) if choice in occurring]
        choices += sorted(occurring.difference(choices))
        places = [float(choices.index(str(value))) for value in values]
        labels = [choice_label(choice) for choice in choices]
        return ParameterAxis(parameter.name, places, [float(place) for place in range(len(labels))], labels, True)
    is_log = parameter.is_log and all(value > 0 for value in values)
    ticks = _ticks(values, is_log)
    labels = [f"{tick:.10g}" for tick in ticks]
    if is_log:
        return ParameterAxis(parameter.name, _log10(values), _log10(ticks), labels)
    return ParameterAxis(parameter.name, [float(value) for value in values], ticks, labels)


def choice_label(choice: str) -> str:
    """Return a choice as it is typed, shortened when it is long."""
    return "null" if choice == "None" else shorten(printable(redact(choice)), MAX_CHOICE)


def shorten(text: str, width: int) -> str:
    """Return the text, or its beginning and its end when it has more characters than `width`."""
    start = width // 2
    return text if len(text) <= width else f"{text[:start]}\N{HORIZONTAL ELLIPSIS}{text[start + 1 - width :]}"


def wrap_name(name: str, width: int) -> str:
    """Return a dotted name on lines of up to `width` characters, broken after dots and underscores if possible."""
    lines = [""]
    for part in re.findall(rf"[^._/ -]{{1,{width - 1}}}[._/ -]?|[._/ -]", printable(redact(name))):
        if len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def label_parameter(axes: Axes, axis: ParameterAxis, inches: float) -> None:
    """Label an x axis that is this wide with a parameter's name and ticks. Long names of choices are vertical."""
    ticks, labels, is_upright = fit_ticks(axis, inches)
    axes.set_xticks(ticks, labels, rotation=90 if is_upright else 0, fontsize=SMALL, parse_math=False)
    axes.set_xlabel(wrap_name(axis.name, int(inches / CHARACTER / 1.3)), parse_math=False)
    axes.set_xlim(*axis_limits(axis))


def label_parameter_vertically(axes: Axes, axis: ParameterAxis, inches: float) -> None:
    """Label a y axis that is this high with a parameter's name and ticks."""
    ticks, labels = thin(axis.ticks, inches / LINE), thin(axis.labels, inches / LINE)
    axes.set_yticks(ticks, labels, fontsize=SMALL, parse_math=False)
    axes.set_ylabel(wrap_name(axis.name, int(inches / CHARACTER / 1.3)), parse_math=False)
    axes.set_ylim(*axis_limits(axis))


def axis_limits(axis: ParameterAxis) -> tuple[float, float]:
    """Return the ends of an axis: some room around the values, half a place around choices."""
    low, high = min(axis.positions), max(axis.positions)
    room = 0.5 if axis.is_choice or low == high else 0.06 * (high - low)
    return low - room, high + room


def fit_ticks(axis: ParameterAxis, inches: float) -> tuple[Sequence[float], Sequence[str], bool]:
    """Return the ticks and labels for which an x axis has room, and whether the labels have to be vertical."""
    widest = (max(map(len, axis.labels)) + 2) * CHARACTER
    is_upright = axis.is_choice and widest * len(axis.labels) > inches
    room = inches / (LINE if is_upright else widest)
    return thin(axis.ticks, room), thin(axis.labels, room), is_upright


def thin(items: Sequence[Any], room: float) -> Sequence[Any]:
    """Return every item, or every second, third ... so that no more remain than there is room for."""
    return items[:: max(1, int(np.ceil(len(items) / max(room, 1))))]


def count_axis(axis: Any) -> None:
    """Put the ticks of an axis that counts, such as trials or epochs, at integers."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def add_trial_scale(figure: Figure, axes: Any, numbers: Collection[int]) -> ScalarMappable:
    """Add the scale of the trials' colors, later ones darker. Its `to_rgba` returns the color of a trial."""
    colors = trial_colors(numbers)
    bar = figure.colorbar(colors, ax=axes, label="trial", ticks=MaxNLocator(integer=True, min_n_ticks=1), pad=0.02)
    bar.ax.tick_params(labelsize=SMALL)
    return colors


def add_value_scale(figure: Figure, axes: Any, values: Sequence[float], metric: str, direction: str) -> ScalarMappable:
    """Add the scale of the trials' values, better ones darker. Its `to_rgba` returns the color of a value."""
    colors = value_colors(values, direction)
    bar = figure.colorbar(colors, ax=axes, pad=0.02)
    bar.set_label(metric, parse_math=False)
    bar.ax.tick_params(labelsize=SMALL)
    return colors


def trial_colors(numbers: Collection[int]) -> ScalarMappable:
    """Return the colors of trials, later ones darker; its `to_rgba` returns the color of a number."""
    return ScalarMappable(_range(numbers), LATER)


def value_colors(values: Sequence[float], direction: str) -> ScalarMappable:
    """Return the colors of values, better ones darker; its `to_rgba` returns the color of a value."""
    return ScalarMappable(_range(values), BETTER if sign_of(direction) > 0 else BETTER.reversed())


def line_opacity(count: int) -> float:
    """Return the opacity of each of this many lines: many lines stay apart only when they are thin."""
    return min(0.8, max(0.25, 20 / count))


def _range(numbers: Collection[float]) -> Normalize:
    low, high = min(numbers), max(numbers)
    return Normalize(low, high) if high > low else Normalize(low - 0.5, high + 0.5)


def _ticks(values: Sequence[float], is_log: bool) -> list[float]:
    """Return round numbers between the least and the greatest value; at least one."""
    low, high = min(values), max(values)
    if low == high:
        return [float(low)]
    is_whole = all(isinstance(value, int) for value in values)
    locators: list[Any] = [MaxNLocator(MAX_TICKS - 1, steps=[1, 2, 5, 10], integer=is_whole)]
    if is_log:
        locators = [LogLocator(numticks=MAX_TICKS), LogLocator(subs=(1, 2, 5), numticks=MAX_TICKS), *locators]
    ticks: list[float] = []
    for locator in locators:  # within one power of ten its multiples are not enough
        ticks = [float(f"{tick:.10g}") for tick in locator.tick_values(low, high) if low <= tick <= high]
        if len(ticks) > 2:
            break
    return ticks or [float(low)]


def _log10(values: Sequence[float]) -> list[float]:
    return [float(number) for number in np.log10(values)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
