"""Sentences about limits: networks that were not trained, limits that none meets, a best trial that is over one."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from src import console
from src.results import TrialRow
from src.schema import excess, format_cost


def explain_limits(rows: Sequence[TrialRow], limits: Mapping[str, float], enough: int = 1) -> str:
    """Return the sentence about limits that no network has met so far; "" if one has, or if it is too early to say.

    Args:
        rows: the trials of the study.
        limits: of the costs.
        enough: the number of trials that must have ended.
    """
    ended = [row for row in rows if row.state in ("COMPLETE", "PRUNED", "FAIL") and not row.interrupted]
    is_met = any(row.costs and not excess(row.costs, limits) for row in rows)  # a running trial counts too
    is_over = all(row.is_skipped or not row.is_feasible for row in ended)
    if is_met or not ended or len(ended) < enough or not is_over:
        return ""
    found = [_smallest(name, limit, ended) for name, limit in limits.items()]
    unmet = [sentence for sentence, is_met in found if not is_met] or [sentence for sentence, _ in found]
    trials = f"none of {len(ended)} networks meets" if len(ended) > 1 else "the only network does not meet"
    return f"{trials} hydra.sweeper.constraints: {', '.join(unmet)}; raise the limit, or search among smaller networks"


def _smallest(name: str, limit: float, rows: Sequence[TrialRow]) -> tuple[str, bool]:
    """Return the lowest cost next to its limit, and whether it is within it."""
    known = [row.costs[name] for row in rows if name in row.costs]
    if not known:  # networks that are over another limit are not timed
        return f"{name} was not measured", True
    return f"the lowest value of {name} is {format_cost(min(known))} (limit {format_cost(limit)})", min(known) <= limit


def describe_skipped(rows: Sequence[TrialRow], limits: Mapping[str, float]) -> str:
    """Return how many networks were not trained and about how much time that saved; "" if all were trained."""
    count = sum(row.is_skipped for row in rows)
    if not count:
        return ""
    listed = ", ".join(f"{name} {format_cost(limit)}" for name, limit in limits.items())
    over = f"over a limit ({listed})" if listed else "over an earlier limit"
    networks = f"{count} network{'s were' if count > 1 else ' was'} {over} and not trained"
    times = [row.seconds for row in rows if row.epochs and row.seconds is not None and not row.interrupted]
    if not times:
        return f"{networks}."
    median = statistics.median(times)
    saved, each = console.duration(count * median), console.duration(median)
    return f"{networks}. That saved about {saved}: {count} times {each}, the median time of a trained trial."


def explain_winner(number: int, costs: Mapping[str, float], limits: Mapping[str, float]) -> str:
    """Return the sentence about one of the best trials that is over a limit when it is measured again; "" if not.

    Args:
        number: of the trial.
        costs: of its network, measured after the workers have ended.
        limits: of the costs.
    """
    found = excess(costs, limits)
    return f"trial {number} is over a limit when its network is measured again: {found}" if found else ""
