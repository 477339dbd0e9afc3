"""The front of a sweep with several objectives: its table, its recipes and its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from src import tracking
from src.redact import redact
from src.reports.markdown import escape
from src.reports.recipe import trial_recipe
from src.results import FrontPoint, SweepResult, TrialRow, trial_name
from src.schema import COSTS
from src.space import SweepPlan

MAX_FRONT = 20  # trials of a front in the description
AGAIN = "_again"  # suffix of a time that was measured after the workers had ended


def record_front(
    run: tracking.Run,
    plan: SweepPlan,
    result: SweepResult,
    front: Sequence[TrialRow],
    configs: Sequence[Mapping[str, Any] | None],
    made_with: Sequence[str],
) -> SweepResult:
    """Write `front.csv`, a recipe of each trial on the front, and metrics; return the result with the front in it.

    The values of a trial are those that placed it on the front. The table has its costs as they were measured last.

    Args:
        run: the parent run.
        plan: of the sweep.
        result: of the sweep.
        front: the trials on it, at least one.
        configs: the resolved configuration of each, None if it is not known.
        made_with: the extensions that each was trained with.
    """
    objectives = [objective.name for objective in plan.objectives]
    points = [
        FrontPoint(
            trial=row.number,
            values=dict(zip(objectives, row.values, strict=True)),
            params=dict(row.params),
            run_id=row.run_id,
            best_epoch=row.best_epoch,
            metrics=row.best_metrics,
            costs=row.costs,
            config=config,
        )
        for row, config in zip(front, configs, strict=True)
    ]
    with run.new_folder("front") as folder:  # replaces recipes of trials that are no longer on the front
        folder.mkdir()
        for row, config, extensions in zip(front, configs, made_with, strict=True):
            if config is not None:
                recipe = trial_recipe(plan, result.study_name, row, config, extensions)
                (folder / f"{trial_name(row.number)}.yaml").write_text(redact(recipe), encoding="utf-8")
    names = [dimension.name for dimension in plan.space.dimensions]
    costs = [name for name in plan.settings.costs if COSTS[name].is_time or name not in objectives]
    cells = [
        (
            row.number,
            *row.values,
            *(exact_cost(row.costs[name]) if name in row.costs else "" for name in costs),
            *(format_param(row.params, name) for name in names),
            row.run_id or "",
        )
        for row in front
    ]
    run.log_table("front.csv", (*_columns(plan), *map(_column, costs), *names, "run_id"), cells)
    # No costs: MLflow's table would show the lowest ones next to the best metrics, which other trials have.
    best = {name: _best_of(points, plan, index) for index, name in enumerate(objectives) if name not in COSTS}
    run.log_new_metrics({"front_size": len(points), **best}, step=result.counts.counted)
    run.flush()
    return replace(result, front=points)


def record_empty_front(run: tracking.Run, plan: SweepPlan, note: str) -> None:
    """Replace the front of an earlier report by a table without rows, and its recipes by a note."""
    with run.new_folder("front") as folder:
        folder.mkdir()
        (folder / "none.txt").write_text(note, encoding="utf-8")
    run.log_table("front.csv", _columns(plan), [])


def _columns(plan: SweepPlan) -> tuple[str, ...]:
    return ("trial", *(objective.name for objective in plan.objectives))


def _column(cost: str) -> str:
    return cost + AGAIN * COSTS[cost].is_time


def _best_of(points: Sequence[FrontPoint], plan: SweepPlan, index: int) -> float:
    """Return the best value of an objective on the front."""
    name, direction = plan.objectives[index]
    best = max if direction == "maximize" else min
    return best(point.values[name] for point in points)


def front_line(plan: SweepPlan, size: int, complete: int) -> str:
    """Return the sentence, in Markdown, about how many trials are on the front of which objectives."""
    named = " and ".join(f"{escape(name)} ({direction})" for name, direction in plan.objectives)
    more = f" The first {MAX_FRONT} are listed; `front.csv` has all." if size > MAX_FRONT else ""
    return (
        f"**{size} of {complete} complete trials** are on the front of {named}: no other trial is at least as good in "
        f"every objective and better in one.{more}"
    )


def exact_cost(cost: float) -> float | int:
    """Return a cost as it is written to a table: an integer without a decimal point."""
    return int(cost) if cost == int(cost) else cost


def format_param(params: Mapping[str, object], name: str) -> object:
    """Return the cell of a parameter in a CSV file: `null` for None, nothing if the trial does not have it."""
    value = params.get(name, "")
    return "null" if value is None else value
