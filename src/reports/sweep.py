"""The report of a sweep: a table of its trials, its best configuration as a recipe, plots and a description."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from src import console, figures, study, tracking
from src.links import run_page
from src.reports.front import MAX_FRONT, exact_cost, format_param, front_line, record_empty_front, record_front
from src.reports.limits import describe_skipped, explain_limits, explain_winner
from src.reports.markdown import Markdown, escape, link, table
from src.reports.recipe import save_recipe, trial_recipe
from src.reports.sweep_page import sweep_page
from src.results import Counts, Parameter, SweepResult, TrialRow, format_metric, trial_name
from src.schema import BEST, COSTS, VALIDATION, as_tree, flatten, format_cost, metric_names
from src.space import SweepPlan

TRIAL_FIELDS = ("number", "state", "value", "seconds", "best_epoch", "epochs", "run_id", "reason")
MAX_LISTED = 5  # best trials in the description

ConfigOfTrial = Callable[[TrialRow], Mapping[str, Any] | None]
CostsOfTrial = Callable[[TrialRow, Mapping[str, Any] | None], Mapping[str, float]]


def record_search(run: tracking.Run, plan: SweepPlan) -> None:
    """Records the command line, the search and what all trials have in common, as params of the parent run."""
    run.log_overrides(plan.line)
    settings = as_tree(plan.settings)
    kept = {name: settings[name] for name in ("sampler", "pruner", "max_retries", "max_failures", "storage")}
    leaves = [flatten(tree).items() for tree in plan.space.trees().values()]
    tracking.record_common(
        run, [{name: value for name, value in items if not plan.space.is_swept(name)} for items in leaves]
    )
    run.log_params(
        {f"hydra.sweeper.{name}.{key}": value for name in ("sampler", "pruner") for key, value in kept[name].items()}
        | {f"hydra.sweeper.{name}": kept[name] for name in ("max_retries", "max_failures", "storage")}
        | {f"hydra.sweeper.constraints.{name}": limit for name, limit in plan.settings.limits.items()}
        | _compared_by(plan)
        | {f"space.{dimension.name}": str(dimension) for dimension in plan.space.dimensions}
    )


def _compared_by(plan: SweepPlan) -> dict[str, Any]:
    """Return the params that say what compares the trials."""
    if not plan.has_front:
        return {"metric": plan.metric, "direction": plan.direction}
    return {"objectives": [objective.name for objective in plan.objectives]} | {
        f"direction.{objective.name}": objective.direction for objective in plan.objectives
    }


def record_results(
    run: tracking.Run,
    plan: SweepPlan,
    study_name: str,
    rows: Sequence[TrialRow],
    counts: Counts,
    known: Container[str],
    config_of_trial: ConfigOfTrial,
    warnings: Sequence[str] = (),
    extensions: Mapping[str, str] | None = None,
    measure: CostsOfTrial = lambda row, _: row.costs,
) -> SweepResult:
    """Writes `trials.csv`, `best.yaml` and the description into the parent run, replacing earlier ones.

    With several objectives `front.csv` and a recipe of each trial on the front, such as `front/trial-007.yaml`, take
    the place of `best.yaml`.

    Args:
        run: the parent run.
        plan: the checked settings of the sweep.
        study_name: the name of the study.
        rows: its trials.
        counts: how many trials ended how.
        known: the ids of the trials' runs that exist; only those are linked.
        config_of_trial: returns the resolved configuration of a trial, None when it is no longer known.
        warnings: what a reader of the results must know.
        extensions: the id of a trial's run -> the extensions that it was trained with, as its param names them.
        measure: returns what the network of the best trial, or of each on the front, costs now that no worker trains.
    """
    _record_trials(run, plan, rows)
    linked = [row if row.run_id in known else row._replace(run_id=None) for row in rows]
    front = study.front(linked, plan.objectives)
    given_up = {row.number: row.attempts for row in rows if row.attempts}
    result = SweepResult(study_name=study_name, run_id=run.run_id, counts=counts, given_up=given_up)
    configs = [config_of_trial(row) for row in front]
    front = [row._replace(costs=measure(row, config)) for row, config in zip(front, configs, strict=True)]
    made_with = [(extensions or {}).get(str(row.run_id), "") for row in front]
    if not front and counts.complete:
        _replace_best(run, plan)
    elif front and plan.has_front:
        result = record_front(run, plan, result, front, configs, made_with)
    elif front:
        result = _record_best(run, plan, result, front[0], configs[0], made_with[0])
    over = [explain_winner(row.number, row.costs, plan.settings.limits) for row in front]
    warnings = [*warnings, *filter(None, over)]
    run.describe(describe_sweep(run, plan, linked, counts, warnings, result.best_costs))
    return result


def record_plots(
    run: tracking.Run,
    plan: SweepPlan,
    study_name: str,
    rows: Sequence[TrialRow],
    counts: Counts,
    parameters: Sequence[Parameter],
) -> None:
    """Write the figures of a sweep to `figures/`, and the page `sweep.html` with its trials and interactive plots.

    Args:
        run: the parent run.
        plan: of the sweep.
        study_name: of the study.
        rows: its trials.
        counts: how many trials ended in which way.
        parameters: of the study, the most important first.
    """
    numbers = figures.sweep_numbers(rows, parameters, plan.objectives, plan.metric)
    for name, figure in figures.sweep_figures(numbers):
        run.log_figure(f"figures/{name}.png", figure)
    front = study.front(rows, plan.objectives)
    plots, script = figures.interactive_plots(numbers), figures.plotly_script()
    page = sweep_page(study_name, rows, front, counts, parameters, plan.objectives, plots, script)
    run.log_page("sweep.html", page)


def describe_sweep(
    run: tracking.Run,
    plan: SweepPlan,
    rows: Sequence[TrialRow],
    counts: Counts,
    warnings: Sequence[str] = (),
    costs: Mapping[str, float] | None = None,
) -> str:
    """Returns the sweep in Markdown: the best trial, the counts, a table of the best trials, the search, warnings.

    With several objectives these are the trials on the front.

    Args:
        run: the parent run.
        plan: of the sweep.
        rows: its trials.
        counts: how many trials ended how.
        warnings: what a reader must know.
        costs: of the network of the best trial.
    """
    if plan.has_front:
        front = study.front(rows, plan.objectives)
        top, first = front[:MAX_FRONT], front_line(plan, len(front), counts.complete)
    else:
        top = study.ranked(rows, plan.direction)[:MAX_LISTED]
        first = _best_line(run, plan, top[0]) if top else ""
    parts = [
        first if top else _nothing_best(counts),
        _costs_line(costs or {}),
        f"{console.count_words(counts)}.",
        escape(describe_skipped(rows, plan.settings.limits)),
        _best_table(run, plan, top) if top else "",
        _describe_search(plan),
        *(f"**Warning:** {escape(warning)}" for warning in [*warnings, *_unmet(rows, plan)]),
    ]
    return "\n\n".join(part for part in parts if part)


def _record_trials(run: tracking.Run, plan: SweepPlan, rows: Sequence[TrialRow]) -> None:
    names = [dimension.name for dimension in plan.space.dimensions]
    number, state, value, *fields = TRIAL_FIELDS
    values = [objective.name for objective in plan.objectives] if plan.has_front else [value]
    costs = [name for name in plan.settings.costs if name not in values]
    cells = [_trial_cells(row, costs, names, len(values)) for row in rows]
    run.log_table("trials.csv", (number, state, *values, *fields, *costs, *names), cells)


def _trial_cells(row: TrialRow, costs: Sequence[str], names: Sequence[str], objectives: int) -> list[object]:
    """Returns the cells of a trial in `trials.csv`: those of `TRIAL_FIELDS`, then its costs and its parameters.

    With several objectives there are as many values.
    """
    return [
        row.number,
        "INTERRUPTED" if row.interrupted else row.state,
        *([*row.values, *[""] * objectives][:objectives]),
        "" if row.seconds is None else f"{row.seconds:.2f}",
        row.best_epoch or "",
        row.epochs,
        row.run_id or "",
        row.reason,
        *(exact_cost(row.costs[name]) if name in row.costs else "" for name in costs),
        *(format_param(row.params, name) for name in names),
    ]


def _record_best(
    run: tracking.Run,
    plan: SweepPlan,
    result: SweepResult,
    best: TrialRow,
    config: Mapping[str, Any] | None,
    made_with: str,
) -> SweepResult:
    """Writes the best trial's recipe and metrics, and returns the result with the trial in it."""
    if config is not None:
        recipe = trial_recipe(plan, result.study_name, best, config, made_with)
        run.log_text("best.yaml", recipe)
        if plan.settings.save_best_as:
            save_recipe(plan.settings.save_best_as, recipe)
    metrics = _best_metrics(best, plan.metric)
    run.log_new_metrics({plan.metric: best.value or 0.0, **metrics, **best.costs}, step=result.counts.counted)
    run.flush()
    return replace(
        result,
        best_trial=best.number,
        best_value=best.value,
        best_run_id=best.run_id,
        best_params=dict(best.params),
        best_metrics=metrics,
        best_epoch=best.best_epoch,
        best_costs=best.costs,
        best_config=config,
    )


def _nothing_best(counts: Counts) -> str:
    """Returns why no trial is the best."""
    return "No complete trial is within the limits." if counts.complete else "No trial is complete."


def _replace_best(run: tracking.Run, plan: SweepPlan) -> None:
    """Replaces the best trial of an earlier report, whose network is over a limit now. Its metrics stay in the run."""
    note = "# No complete trial is within hydra.sweeper.constraints.\n"
    if plan.has_front:
        record_empty_front(run, plan, note)
    else:
        run.log_text("best.yaml", note)


def _best_metrics(best: TrialRow, metric: str) -> dict[str, float]:
    """Returns the metrics of its best epoch that are known. Trials of earlier versions have their value and epoch."""
    value = {BEST + metric: best.value} if metric in metric_names(VALIDATION) and best.value is not None else {}
    return value | best.best_metrics


def _best_line(run: tracking.Run, plan: SweepPlan, best: TrialRow) -> str:
    """Returns the best value, its trial and its parameters."""
    params = f" with {escape(console.params_line(best.params))}" if best.params else ""
    return f"**{escape(plan.metric)} {format_metric(best.value)}**: {_trial_link(run, best)}{params}"


def _costs_line(costs: Mapping[str, float]) -> str:
    """Return `Its network: parameters 12,345, latency (ms) 0.41.`"""
    listed = ", ".join(f"{COSTS[name].label} {format_cost(cost)}" for name, cost in costs.items())
    return f"Its network: {escape(listed)}." if costs else ""


def _unmet(rows: Sequence[TrialRow], plan: SweepPlan) -> list[str]:
    sentence = explain_limits(rows, plan.settings.limits)
    return [sentence] if sentence else []


def _best_table(run: tracking.Run, plan: SweepPlan, top: Sequence[TrialRow]) -> str:
    objectives = [objective.name for objective in plan.objectives]
    names = [dimension.name for dimension in plan.space.dimensions]
    rows = [
        (
            _trial_link(run, row),
            *(console.format_value(name, value) for name, value in zip(objectives, row.values, strict=True)),
            *(console.short(row.params.get(name, "")) for name in names),
        )
        for row in top
    ]
    return table(("trial", *objectives, *names), rows)


def _describe_search(plan: SweepPlan) -> str:
    """Returns the sampler, the pruner, a line for each dimension and one for each limit."""
    settings = f"Searched with sampler {plan.settings.sampler.name} and pruner {plan.settings.pruner.name}:"
    lines: list[str] = [escape(f"{dimension.name}: {dimension}") for dimension in plan.space.dimensions]
    lines += [
        escape(f"{COSTS[name].label}: at most {format_cost(limit)}") for name, limit in plan.settings.limits.items()
    ]
    return "\n".join([settings, "", *(f"- {line}" for line in lines)])


def _trial_link(run: tracking.Run, row: TrialRow) -> Markdown:
    return link(trial_name(row.number), run_page(run.experiment_id, row.run_id) if row.run_id else None)
