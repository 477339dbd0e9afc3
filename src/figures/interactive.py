"""The figures of a sweep drawn by plotly, as parts of a page that works offline."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_hex
from plotly.graph_objects import Bar, Figure, Scatter
from plotly.graph_objects import Contour as Filled
from plotly.io import to_html
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from src.figures.axes import ParameterAxis, axis_limits, fit_ticks, line_opacity, trial_colors, value_colors, wrap_name
from src.figures.colors import BLUE, GRAY, RED
from src.figures.contour import Contour, spread
from src.figures.history import History
from src.figures.hypervolume import HypervolumeHistory, reference_words
from src.figures.importances import Importances
from src.figures.parallel import ParallelCoordinates, axis_heights
from src.figures.pareto import Pareto, others_of, panels_of, places_of, step_of, value_label
from src.figures.slices import MAX_COLUMNS, Slice
from src.figures.sweep import SweepNumbers
from src.figures.timeline import TimelineBar, largest_unit
from src.figures.trials import OUTCOMES, TrialCurve
from src.redact import redact_tree

HEIGHT, PANEL, AXIS = 440, 300, 150  # pixels: of a plot, of a panel of several, from one parallel axis to the next
NAME = 24  # characters of a name on one line
INCHES = 2.2  # the least width of a panel: the page is 800 pixels wide

Line = dict[str, Any]  # one of plotly's traces, as JSON


def plotly_script() -> str:
    """Return the JavaScript of plotly, which a page needs once."""
    return str(get_plotlyjs())


def interactive_plots(numbers: SweepNumbers) -> Iterator[tuple[str, str]]:
    """Yield the name and the HTML of each plot for which there are enough trials.

    A plot is as wide as the page, redacted and escaped.
    """
    metric, direction = numbers.metric, numbers.direction
    if numbers.pareto is not None:
        yield "pareto", _html(_pareto(numbers.pareto))
    if numbers.hypervolume is not None:
        yield "hypervolume", _html(_hypervolume(numbers.hypervolume))
    if numbers.curves:
        yield "intermediate_values", _html(*_curves(numbers.curves, numbers.monitor))
    if numbers.history is not None:
        yield "history", _html(_history(numbers.history, metric))
    if numbers.importances is not None:
        yield "importances", _html(_importances(numbers.importances))
    if numbers.parallel is not None:
        width = AXIS * len(numbers.parallel.axes)
        yield "parallel_coordinates", _html(*_parallel(numbers.parallel, metric, direction), min_width=width)
    if numbers.slices:
        yield "slices", _html(_slices(numbers.slices, metric))
    if numbers.contour is not None:
        yield "contour", _html(_contour(numbers.contour, metric, direction))
    if numbers.timeline:
        yield "timeline", _html(_timeline(numbers.timeline))


def _html(figure: Figure, lines: Sequence[Line] = (), min_width: int = 0) -> str:
    """Return the HTML of a figure.

    Args:
        figure: everything but the lines of the trials.
        lines: one for each trial, drawn first. There may be thousands, and plotly takes milliseconds to make an object
            of each, so they are dicts.
        min_width: in pixels.
    """
    height = figure.layout.height or HEIGHT
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        modebar={"orientation": "v"},
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True, ticklabelstandoff=6)
    tree = json.loads(figure.to_json())
    part = to_html(
        _escape(redact_tree(tree | {"data": [*lines, *tree["data"]]})),
        full_html=False,
        include_plotlyjs=False,
        validate=False,
        config={"responsive": True, "displaylogo": False},
        default_height=f"{height}px",
    )
    return f'<div style="min-width: {min_width}px">{part}</div>'


def _escape(value: Any) -> Any:
    """Return the tree with `<` escaped in its strings: plotly reads tags. Line breaks and plotly's `<extra>` remain."""
    if isinstance(value, dict):
        return {key: _escape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escape(item) for item in value]
    return re.sub(r"<(?!br>|/?extra>)", "&lt;", value) if isinstance(value, str) else value


def _pareto(data: Pareto) -> Figure:
    panels = panels_of(data.objectives)
    figure = make_subplots(1, len(panels), horizontal_spacing=0.25 / len(panels))
    kinds = (
        ("complete trial", others_of(data), {"color": GRAY, "size": 8}),
        ("over a limit", data.infeasible, {"color": RED, "size": 9, "symbol": "x"}),
        ("front", data.front, {"color": BLUE, "size": 10, "symbol": "diamond"}),
    )
    names = [objective.name for objective in data.objectives]
    texts = {
        number: "<br>".join([f"trial {number}", *map(value_label, names, values)])
        for number, values in zip(data.numbers, data.values, strict=True)
    }
    for column, panel in enumerate(panels, start=1):
        place = {"row": 1, "col": column}
        if data.front and len(data.objectives) == 2:
            x, y = zip(*sorted(places_of(data, panel, data.front)), strict=True)
            shape = {"color": BLUE, "shape": "hv" if step_of(data, panel) == "post" else "vh"}
            figure.add_scatter(x=x, y=y, mode="lines", line=shape, hoverinfo="skip", showlegend=False, **place)
        for name, numbers, marker in kinds:
            if numbers:
                x, y = zip(*places_of(data, panel, numbers), strict=True)
                text = [texts[number] for number in numbers]
                style = {"mode": "markers", "marker": marker, "hovertemplate": "%{text}<extra></extra>"}
                figure.add_scatter(x=x, y=y, text=text, name=name, showlegend=column == 1, **style, **place)
        across, up = data.axes[panel.across], data.axes[panel.up]
        title = {"title": _wrap(across.name, 2 * NAME)}
        figure.update_xaxes(**_x_axis(across, 2 * INCHES / len(panels)) | title, **place)
        figure.update_yaxes(**_axis(up) | {"title": _wrap(up.name, 2 * NAME)}, **place)
    return figure


def _hypervolume(data: HypervolumeHistory) -> Figure:
    line = {"mode": "lines+markers", "line": {"color": BLUE, "shape": "hv"}, "marker_size": 6}
    texts = [f"trial {number}<br>{volume:,.6g}" for number, volume in zip(data.numbers, data.volumes, strict=True)]
    figure = Figure(
        [Scatter(x=data.numbers, y=data.volumes, text=texts, hovertemplate="%{text}<extra></extra>", **line)]
    )
    limits = [data.numbers[0] - 0.5, data.numbers[-1] + 0.5]
    title = f"trial<br><br>{reference_words(data)}"
    figure.update_layout(xaxis={"title": title, "dtick": _step(limits[1] - limits[0]), "range": limits})
    return figure.update_layout(yaxis={"title": "hypervolume", "rangemode": "tozero"})


def _line(x: Sequence[float], y: Sequence[float], number: int, color: str, opacity: float, **style: Any) -> Line:
    """Return the line of a trial as one of plotly's traces."""
    line = {"type": "scatter", "x": list(x), "y": list(y), "name": f"trial {number}", "showlegend": False}
    return line | {"mode": "lines", "opacity": opacity, "line": {"color": color, "width": 1.2}} | style


def _curves(curves: list[TrialCurve], metric: str) -> tuple[Figure, list[Line]]:
    figure, faint = Figure(), line_opacity(len(curves))
    style = {"mode": "lines+markers", "marker": {"size": 4}}
    lines = [
        _line(curve.epochs, curve.values, curve.number, BLUE if curve.outcome == "COMPLETE" else GRAY, faint, **style)
        for curve in curves
    ]
    for outcome, (label, color) in OUTCOMES.items():
        ends = [curve for curve in curves if curve.outcome == outcome != "COMPLETE"]
        if ends:
            figure.add_scatter(
                x=[curve.epochs[-1] for curve in ends],
                y=[curve.values[-1] for curve in ends],
                text=[f"trial {curve.number}" for curve in ends],
                mode="markers",
                marker={"symbol": "x", "size": 8, "color": "black" if outcome == "PRUNED" else color},
                name=label,
                showlegend=True,
            )
    last = max(curve.epochs[-1] for curve in curves)
    figure.update_layout(xaxis={"title": "epoch", "dtick": _step(last - 1), "range": [0.5, last + 0.5]})
    return figure.update_layout(yaxis_title=metric), lines


def _history(history: History, metric: str) -> Figure:
    trials = {"mode": "markers", "marker": {"color": GRAY, "size": 7}, "name": "complete trial"}
    best = {"mode": "lines", "line": {"color": BLUE, "shape": "hv"}, "name": "best so far"}
    points = Scatter(x=history.numbers, y=history.values, **trials)
    figure = Figure([_with_values(points, history.numbers, history.values, metric)])
    figure.add_scatter(x=history.numbers, y=history.best, **best)
    number = history.best_trial
    star = {"mode": "markers", "marker": {"color": RED, "size": 13, "symbol": "star"}, "name": f"best: trial {number}"}
    figure.add_scatter(x=[number], y=[history.best[-1]], **star)
    limits = [history.numbers[0] - 0.5, history.numbers[-1] + 0.5]
    figure.update_layout(xaxis={"title": "trial", "dtick": _step(limits[1] - limits[0]), "range": limits})
    return figure.update_layout(yaxis_title=metric)


def _importances(importances: Importances) -> Figure:
    names = [_wrap(name, 2 * NAME) for name in importances.names]
    labels = [f"{value:.2f}" for value in importances.values]
    bars = Bar(x=importances.values, y=names, text=labels, textposition="outside", cliponaxis=False)
    figure = Figure([bars.update(orientation="h", marker_color=BLUE)])
    figure.update_layout(height=100 + 20 * sum(2 + name.count("<br>") for name in names), yaxis_autorange="reversed")
    return figure.update_layout(yaxis_type="category", xaxis_title="importance; all parameters add up to 1")


def _parallel(parallel: ParallelCoordinates, metric: str, direction: str) -> tuple[Figure, list[Line]]:
    colors = value_colors(parallel.values, direction)
    heights = np.array([axis_heights(axis, axis.positions) for axis in parallel.axes])
    places = list(range(len(parallel.axes)))
    shades = [to_hex(color) for color in colors.to_rgba(np.array(parallel.values))]
    faint = line_opacity(len(shades))
    lines = [
        _line(places, trial, number, color, faint, hoverinfo="name")
        for number, trial, color in zip(parallel.numbers, heights.T.tolist(), shades, strict=True)
    ]
    figure = Figure()
    for place, axis in enumerate(parallel.axes):
        line = {"type": "line", "xref": "x", "yref": "y domain", "line": {"color": "#555", "width": 1}}
        figure.add_shape(x0=place, x1=place, y0=0, y1=1, **line)
        for height, label in zip(axis_heights(axis, axis.ticks), axis.labels, strict=True):
            box = {"showarrow": False, "xanchor": "left", "xshift": 3, "bgcolor": "rgba(255, 255, 255, 0.85)"}
            figure.add_annotation(x=place, y=height, text=label, **box)
    empty = {"x": [None], "y": [None], "mode": "markers", "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(**empty, marker=_scale(colors) | {"color": [parallel.values[0]], "colorbar": {"title": metric}})
    names = [_wrap(axis.name) for axis in parallel.axes]
    figure.update_xaxes(tickvals=places, ticktext=names, tickangle=0, range=[-0.3, len(places) - 0.1], showgrid=False)
    return figure.update_yaxes(visible=False, range=[-0.05, 1.05]), lines


def _slices(slices: list[Slice], metric: str) -> Figure:
    columns = min(MAX_COLUMNS, len(slices))
    lines = -(-len(slices) // columns)
    figure = make_subplots(lines, columns, shared_yaxes=True, horizontal_spacing=0.03, vertical_spacing=0.3 / lines)
    numbers = [number for panel in slices for number in panel.numbers]
    scale = _scale(trial_colors(numbers))
    for index, panel in enumerate(slices):
        row, column = index // columns + 1, index % columns + 1
        marker = scale | {"color": panel.numbers, "size": 7, "showscale": index == 0, "colorbar": {"title": "trial"}}
        points = Scatter(x=panel.axis.positions, y=panel.values, mode="markers", marker=marker)
        figure.add_trace(_with_values(points, panel.numbers, panel.values, metric), row, column)
        figure.update_xaxes(**_x_axis(panel.axis, INCHES), row=row, col=column)
    figure.update_yaxes(title=metric, col=1)
    return figure.update_layout(height=60 + PANEL * lines, showlegend=False)


def _contour(contour: Contour, metric: str, direction: str) -> Figure:
    """Let plotly interpolate between the trials if both parameters are numbers; nothing lies between two choices."""
    x, y, values = contour.x, contour.y, contour.values
    scale = _scale(value_colors(values, direction))
    figure = Figure()
    if not x.is_choice and not y.is_choice:
        columns, rows = sorted(set(x.positions)), sorted(set(y.positions))
        grid: list[list[float | None]] = [[None] * len(columns) for _ in rows]
        for across, up, value in zip(x.positions, y.positions, values, strict=True):
            grid[rows.index(up)][columns.index(across)] = value
        fill = {"colorscale": scale["colorscale"], "zmin": scale["cmin"], "zmax": scale["cmax"], "showscale": False}
        figure.add_trace(Filled(x=columns, y=rows, z=grid, connectgaps=True, hoverinfo="skip", **fill))
    marker = scale | {"color": values, "size": 9, "line": {"color": "black", "width": 1}, "colorbar": {"title": metric}}
    points = Scatter(x=spread(x, 0.0), y=spread(y, 0.5), mode="markers", marker=marker, showlegend=False)
    figure.add_trace(_with_values(points, contour.numbers, values, metric))
    figure.update_xaxes(**_x_axis(x, 2 * INCHES))
    return figure.update_yaxes(**_axis(y))


def _timeline(bars: list[TimelineBar]) -> Figure:
    unit, size = largest_unit(bars)
    figure = Figure()
    for outcome, (label, color) in OUTCOMES.items():
        kind = [bar for bar in bars if bar.outcome == outcome]
        figure.add_bar(
            x=[bar.seconds / size for bar in kind],
            y=[bar.number for bar in kind],
            base=[bar.start / size for bar in kind],
            text=[f"trial {bar.number}, {bar.seconds:.1f} s" for bar in kind],
            hovertemplate="%{text}",
            textposition="none",
            width=0.8,  # else plotly makes the bars of a state thicker the further apart its trials are
            orientation="h",
            marker_color=color,
            name=label,
            showlegend=bool(kind),
        )
    numbers = [bar.number for bar in bars]
    step = _step(max(numbers) - min(numbers))
    figure.update_layout(yaxis={"title": "trial", "autorange": "reversed", "dtick": step})
    return figure.update_layout(xaxis_title=f"{unit} since the first trial began", barmode="overlay")


def _with_values(points: Scatter, numbers: list[int], values: list[float], metric: str) -> Scatter:
    """Return the points with the number and the value of each trial as the text that is shown under the mouse."""
    texts = [f"trial {number}<br>{metric} {value:.4f}" for number, value in zip(numbers, values, strict=True)]
    return points.update(text=texts, hovertemplate="%{text}<extra></extra>")


def _step(length: float) -> int | None:
    """Return the distance of an axis' ticks, None for plotly's own, which on a short axis are not integers."""
    return 1 if length <= 10 else None


def _scale(colors: ScalarMappable) -> dict[str, Any]:
    """Return plotly's settings for these colors."""
    shares = np.linspace(0, 1, 9)
    scale = [[float(share), to_hex(color)] for share, color in zip(shares, colors.cmap(shares), strict=True)]
    return {"cmin": colors.norm.vmin, "cmax": colors.norm.vmax, "colorscale": scale}


def _axis(axis: ParameterAxis) -> dict[str, Any]:
    """Return plotly's settings for the axis of a parameter."""
    title, limits = _wrap(axis.name), axis_limits(axis)
    return {"title": title, "tickvals": axis.ticks, "ticktext": axis.labels, "range": limits, "zeroline": False}


def _x_axis(axis: ParameterAxis, inches: float) -> dict[str, Any]:
    """Return plotly's settings for the axis of a parameter across a plot that is at least this wide."""
    ticks, labels, is_upright = fit_ticks(axis, inches)
    return _axis(axis) | {"tickvals": ticks, "ticktext": labels, "tickangle": -90 if is_upright else 0}


def _wrap(name: str, width: int = NAME) -> str:
    return wrap_name(name, width).replace("\n", "<br>")
