"""A study as pictures: Optuna's own plots, as Matplotlib figures and as one page that works without a network."""

import contextlib
import html
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.visualization import matplotlib as drawn

from src.redact import redact

MOST_PARAMS = 6  # the most important ones: more do not fit into a picture
PLOTS: dict[str, tuple[Callable[..., Any], Callable[..., Any], int | None]] = {
    # name -> in Matplotlib, in plotly, how many of the most important parameters it shows, None for a plot without any
    "history": (drawn.plot_optimization_history, optuna.visualization.plot_optimization_history, None),
    "importances": (drawn.plot_param_importances, optuna.visualization.plot_param_importances, MOST_PARAMS),
    "parallel_coordinates": (
        drawn.plot_parallel_coordinate,
        optuna.visualization.plot_parallel_coordinate,
        MOST_PARAMS,
    ),
    "slices": (drawn.plot_slice, optuna.visualization.plot_slice, MOST_PARAMS),
    "contour": (drawn.plot_contour, optuna.visualization.plot_contour, 2),
    "timeline": (drawn.plot_timeline, optuna.visualization.plot_timeline, None),
}


def study_figures(study: optuna.Study, metric: str) -> Iterator[tuple[str, Any]]:
    """Name and Matplotlib figure of each plot that the trials allow.

    Args:
        study: with trials.
        metric: what the value is called.
    """
    import matplotlib

    with matplotlib.rc_context({"backend": "agg", "figure.constrained_layout.use": True}), _quiet():
        from matplotlib import pyplot

        ranked = importances(study)
        for name, (plot, _, count) in _worth_drawing(study).items():
            with contextlib.suppress(ValueError, RuntimeError):  # too few trials for this one
                axes = plot(study, **_arguments(name, ranked, count, metric))
                figure = (axes if hasattr(axes, "figure") else axes.flat[0]).figure
                figure.set_size_inches(*_inches(name, len(ranked[:count])))
                yield name, figure
        pyplot.close("all")


def study_page(study: optuna.Study, metric: str) -> str:
    """One HTML page with every plot, to be hovered over and zoomed; plotly.js is in it, so it needs no network."""
    from plotly.offline import get_plotlyjs

    parts = []
    with _quiet():
        ranked = importances(study)
        for name, (_, plot, count) in _worth_drawing(study).items():
            with contextlib.suppress(ValueError, RuntimeError):
                figure = plot(study, **_arguments(name, ranked, count, metric))
                parts.append(redact(figure.to_html(full_html=False, include_plotlyjs=False)))
    title = html.escape(redact(study.study_name))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f"<script>{get_plotlyjs()}</script>\n<style>body {{ font-family: sans-serif }}</style></head>\n"
        f"<body><h1>{title}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def importances(study: optuna.Study) -> list[str]:
    """The parameters, the most important first; by name where the trials cannot tell."""
    names = sorted({name for trial in study.get_trials(deepcopy=False) for name in trial.params})
    with contextlib.suppress(ValueError, RuntimeError):
        ranked = list(optuna.importance.get_param_importances(study))
        return ranked + [name for name in names if name not in ranked]
    return names


def _worth_drawing(study: optuna.Study) -> dict[str, tuple[Callable[..., Any], Callable[..., Any], int | None]]:
    """All plots, or with a single trial those that show no parameters: it has nothing to compare them with."""
    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    return {name: plot for name, plot in PLOTS.items() if plot[2] is None or len(complete) > 1}


def _arguments(name: str, ranked: list[str], count: int | None, metric: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {} if count is None else {"params": ranked[:count]}
    if name in ("importances", "timeline"):
        return {}
    return arguments | {"target_name": metric}


def _inches(name: str, count: int) -> tuple[float, float]:
    if name in ("slices", "parallel_coordinates"):
        return max(8.0, 3.2 * count), 5.0
    return 9.0, 5.5


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Optuna warns of each plot that it calls experimental, and of each that has too few trials."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)
