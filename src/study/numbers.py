"""The trials of a study as plain values, for tables, lines and pictures."""

from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from src.results import TrialRow
from src.schema import BEST, VALIDATION, excess, metric_names, sign_of
from src.study.claims import REASON, can_retry, count_attempts, is_interrupted
from src.study.shared import COSTS


def trial_rows(
    trials: Sequence[FrozenTrial], max_retries: int | None = None, limits: Mapping[str, float] | None = None
) -> list[TrialRow]:
    """Return a row for each trial, by number.

    Args:
        trials: of one study.
        max_retries: `hydra.sweeper.max_retries`; with it, rows say which interrupted trials are not tried again.
        limits: `hydra.sweeper.constraints`; with them, rows say which networks are over a limit now.
    """
    rows = [_with_excess(_row(trial), limits or {}) for trial in sorted(trials, key=lambda trial: trial.number)]
    if max_retries is None:
        return rows
    given_up = {
        trial.number: count_attempts(trial, trials)
        for trial in trials
        if is_interrupted(trial) and not can_retry(trial, max_retries)
    }
    return [_as_given_up(row, given_up[row.number]) if row.number in given_up else row for row in rows]


def _as_given_up(row: TrialRow, count: int) -> TrialRow:
    attempts = f"{count} attempt{'s' * (count > 1)}"
    more = "a larger hydra.sweeper.max_retries allows more"
    return row._replace(attempts=count, reason=f"{row.reason}; not tried again after {attempts}; {more}")


def _with_excess(row: TrialRow, limits: Mapping[str, float]) -> TrialRow:
    """Return the row with what is over a limit. A complete trial was trained under a higher limit, or under none."""
    found = excess(row.costs, limits)
    reason = f"over the limit: {found}" if found and row.state == TrialState.COMPLETE.name else row.reason
    return row._replace(excess=found, reason=reason)


def _row(trial: FrozenTrial) -> TrialRow:
    best_names = [BEST + name for name in metric_names(VALIDATION)]
    return TrialRow(
        number=trial.number,
        state=trial.state.name,
        value=_value_at_best_epoch(trial),
        params=trial.params,
        seconds=trial.duration.total_seconds() if trial.duration else None,
        best_epoch=trial.user_attrs.get("best_epoch"),
        epochs=trial.user_attrs.get("epochs", len(trial.intermediate_values)),
        reported=dict(trial.intermediate_values),
        run_id=trial.user_attrs.get("run_id"),
        interrupted=is_interrupted(trial),
        reason=str(trial.user_attrs.get(REASON, "")),
        validation={name: trial.user_attrs[name] for name in best_names if name in trial.user_attrs},
        started=trial.datetime_start,
        costs=trial.user_attrs.get(COSTS, {}),
    )


def _value_at_best_epoch(trial: FrozenTrial) -> float | None:
    """Return a trial's value; for Optuna, that of a pruned trial is the last one reported, not the best epoch's."""
    if trial.state != TrialState.PRUNED:
        return trial.value
    return trial.intermediate_values.get(trial.user_attrs.get("best_epoch", -1), trial.value)


def ranked(rows: Sequence[TrialRow], direction: str) -> list[TrialRow]:
    """Return the complete trials within the limits, best first; of equal ones the earlier comes first."""
    complete = [
        row for row in rows if row.state == TrialState.COMPLETE.name and row.value is not None and row.is_feasible
    ]
    return sorted(complete, key=lambda row: (-sign_of(direction) * (row.value or 0.0), row.number))
