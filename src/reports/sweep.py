"""A sweep as something to look at: its trials as a table, its best as a recipe, its story in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from src import console, figures, study, tracking
from src.links import run_page
from src.reports.recipe import _keep_recipe, best_recipe
from src.results import BEST_METRICS, Counts, SweepResult, TrialRow, trial_name
from src.schema import as_tree
from src.space import SweepPlan

COLUMNS = ("number", "state", "value", "seconds", "best_epoch", "epochs", "run_id", "reason")


def record_search(run: tracking.Run, plan: SweepPlan) -> None:
    """What is searched and how, as params of the parent run, and what was typed."""
    run.log_overrides(plan.line)
    settings = as_tree(plan.settings)
    kept = {name: settings[name] for name in ("sampler", "pruner", "max_retries", "max_failures", "storage")}
    run.log_params(
        {f"hydra.sweeper.{name}.{key}": value for name in ("sampler", "pruner") for key, value in kept[name].items()}
        | {f"hydra.sweeper.{name}": kept[name] for name in ("max_retries", "max_failures", "storage")}
        | {"metric": plan.metric, "direction": plan.direction}
        | {f"space.{dimension.name}": str(dimension) for dimension in plan.space.dimensions}
    )


def record_results(
    run: tracking.Run,
    plan: SweepPlan,
    study_name: str,
    rows: Sequence[TrialRow],
    counts: Counts,
    known: Container[str],
    config_of_trial: Callable[[TrialRow], Mapping[str, Any] | None],
) -> SweepResult:
    """Writes `trials.csv`, `best.yaml` and the description into the parent run, over those of an earlier end.

    Args:
        run: the parent run.
        plan: of the sweep.
        study_name: of the study.
        rows: its trials.
        counts: how they ended.
        known: the ids of the trials' runs that exist; only those are linked.
        config_of_trial: returns the resolved configuration of a trial, None when it is no longer known.
    """
    names = [dimension.name for dimension in plan.space.dimensions]
    run.log_table(
        "trials.csv",
        (*COLUMNS, *names),
        [
            (
                row.number,
                "INTERRUPTED" if row.interrupted else row.state,
                "" if row.value is None else row.value,
                "" if row.seconds is None else f"{row.seconds:.2f}",
                row.best_epoch or "",
                row.epochs,
                row.run_id or "",
                row.reason,
                *("null" if (value := row.params.get(name, "")) is None else value for name in names),
            )
            for row in rows
        ],
    )
    linked = [row if row.run_id in known else row._replace(run_id=None) for row in rows]
    best = next(iter(study.ranked(linked, plan.direction)), None)
    config = None if best is None else config_of_trial(best)
    metrics: dict[str, float] = {}
    if best is not None:
        metrics = _best_metrics(best, plan.metric)
        if config is not None:
            recipe = best_recipe(plan, study_name, best, config)
            run.log_text("best.yaml", recipe)
            if plan.settings.save_best_as:
                _keep_recipe(plan.settings.save_best_as, recipe)
        run.log_metrics({plan.metric: best.value or 0.0, **metrics}, step=counts.counted)
        run.flush()
    run.describe(description(run, plan, linked, counts))
    return SweepResult(
        study_name=study_name,
        run_id=run.run_id,
        counts=counts,
        best_trial=best.number if best else None,
        best_value=best.value if best else None,
        best_run_id=best.run_id if best else None,
        best_params=dict(best.params) if best else {},
        best_metrics=metrics,
        best_epoch=best.best_epoch if best else None,
        best_config=config,
    )


def _best_metrics(best: TrialRow, metric: str) -> dict[str, float]:
    """Those of `BEST_METRICS` that are known of a trial. One of an earlier version has its value and its epoch only."""
    found, name = best.best_metrics, f"best_{metric}"
    return {name: best.value, **found} if name in BEST_METRICS and best.value is not None else found


def record_plots(
    run: tracking.Run, rows: Sequence[TrialRow], metric: str, plots: Iterable[tuple[str, Any]], page: str
) -> None:
    """The sweep's pictures under `figures/`, and `sweep.html` with the same plots to be hovered over."""
    curves = figures.trial_curves_data(rows)
    if curves:
        run.log_figure("figures/intermediate_values.png", figures.plot_trial_curves(curves, metric))
    for name, figure in plots:
        run.log_figure(f"figures/{name}.png", figure)
    run.log_page("sweep.html", page)


def description(run: tracking.Run, plan: SweepPlan, rows: Sequence[TrialRow], counts: Counts) -> str:
    """The sweep in Markdown: how many trials of what kind, and the five best with links to their runs."""
    lines = [
        f"{console.count_words(counts)}; {plan.settings.sampler.name} sampler, {plan.settings.pruner.name} pruner."
    ]
    names = [dimension.name for dimension in plan.space.dimensions]
    top = study.ranked(rows, plan.direction)[:5]
    if top:
        lines += ["", f"| trial | {plan.metric} | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for row in top:
        name = trial_name(row.number)
        link = f"[{name}]({run_page(run.experiment_id, row.run_id)})" if row.run_id else name
        cells = [console.short(row.params.get(name, "")) for name in names]
        lines.append(f"| {link} | {row.value:.4f} | {' | '.join(cells)} |")
    return "\n".join(lines)


# --- the best trial as a recipe ------------------------------------------------------------------------------------
