"""The choice of one trial from the front of a sweep, by what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from src import console
from src.errors import ConfigError
from src.results import FrontPoint, SweepResult
from src.schema import COSTS, ChooseConfig, Objective, losses_of
from src.space import SweepPlan

ROUNDING = 1e-9  # 0.983 - 0.981 is slightly more than 0.002


def check_choice(choose: ChooseConfig, plan: SweepPlan) -> None:
    """Raise ConfigError unless the settings choose one trial of the sweep's front, or the sweep has a best trial."""
    typed = [f"choose.{name}" for name in ("metric", "within", "cheapest") if getattr(choose, name) is not None]
    if not plan.has_front:
        if typed:
            raise ConfigError(
                f"{typed[0]}: a sweep with one objective has a best trial; remove `{typed[0]}`, or set "
                "hydra.sweeper.objectives"
            )
        return
    names = [objective.name for objective in plan.objectives]
    metrics, costs = ([name for name in names if (name in COSTS) == is_cost] for is_cost in (False, True))
    if choose.metric is None:
        perhaps = f"; add choose.within=0.002 choose.cheapest={costs[0]} for a cheaper one" if costs else ""
        raise ConfigError(
            "choose.metric: a sweep with several objectives has no best trial; set the objective that matters, "
            f"choose.metric={metrics[0]}{perhaps}"
        )
    _check_name("choose.metric", choose.metric, metrics, "metric")
    if choose.cheapest is not None:
        _check_name("choose.cheapest", choose.cheapest, costs, "cost")


def _check_name(key: str, name: str, known: Sequence[str], kind: str) -> None:
    if name not in known:
        raise ConfigError(
            f"{key}: got {name!r}, expected a {kind} of hydra.sweeper.objectives, which has "
            f"{', '.join(known) or f'no {kind}'}"
        )


def with_chosen_trial(sweep: SweepResult, plan: SweepPlan, choose: ChooseConfig) -> SweepResult:
    """Return the result of a sweep with the trial that was chosen from its front as the best one.

    Args:
        sweep: the result of the sweep; without a front it is returned as it is.
        plan: of the sweep.
        choose: settings that `check_choice` has checked.
    """
    if not sweep.front or choose.metric is None:
        return sweep
    point, reason = choose_point(sweep.front, plan.objectives, choose)
    return replace(
        sweep,
        best_trial=point.trial,
        best_value=point.values[choose.metric],
        best_run_id=point.run_id,
        best_params=dict(point.params),
        best_metrics=dict(point.metrics),
        best_epoch=point.best_epoch,
        best_config=point.config,
        chosen=reason,
    )


def choose_point(
    front: Sequence[FrontPoint], objectives: Sequence[Objective], choose: ChooseConfig
) -> tuple[FrontPoint, str]:
    """Return the trial that the settings choose, and the reason. Of equal ones the earlier is chosen.

    Args:
        front: at least one trial.
        objectives: of the sweep.
        choose: settings that `check_choice` has checked.
    """
    metric = str(choose.metric)
    (objective,) = [each for each in objectives if each.name == metric]

    def loss(point: FrontPoint) -> float:
        return losses_of([point.values[metric]], [objective])[0]

    best = min(front, key=lambda point: (loss(point), point.trial))
    shown = f"{metric} {console.format_value(metric, best.values[metric])}"
    if choose.within is None or choose.cheapest is None:
        return best, f"it has the best value on the front, {shown}"
    cost = choose.cheapest
    near = [point for point in front if loss(point) <= loss(best) + choose.within + ROUNDING]
    cheapest = min(near, key=lambda point: (point.values[cost], loss(point), point.trial))
    return cheapest, (
        f"{len(near)} of {len(front)} trials on the front are within {choose.within:g} of the best value, {shown}, and "
        f"of these it has the lowest {cost}: {console.format_value(cost, cheapest.values[cost])}"
    )
