"""The trials of a study as plain values, for tables, lines and pictures."""

from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from src.results import TrialRow
from src.schema import BEST, VALIDATION, Objective, excess, front_of, improves, metric_names, sign_of
from src.study.attempts import REASON, count_attempts, is_interrupted, uncounted
from src.study.shared import COSTS
from src.study.watch import REPORTED


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
    without = uncounted(trials, max_retries)
    given_up = {
        trial.number: count_attempts(trial, trials)
        for trial in trials
        if is_interrupted(trial) and trial.number not in without
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
    reported = _reported(trial)
    return TrialRow(
        number=trial.number,
        state=trial.state.name,
        value=_value(trial, reported),
        params=trial.params,
        seconds=trial.duration.total_seconds() if trial.duration else None,
        best_epoch=trial.user_attrs.get("best_epoch"),
        epochs=trial.user_attrs.get("epochs", len(reported)),
        reported=reported,
        run_id=trial.user_attrs.get("run_id"),
        interrupted=is_interrupted(trial),
        reason=str(trial.user_attrs.get(REASON, "")),
        validation={name: trial.user_attrs[name] for name in best_names if name in trial.user_attrs},
        started=trial.datetime_start,
        costs=trial.user_attrs.get(COSTS, {}),
        others=tuple((trial.values or ())[1:]),
    )


def _reported(trial: FrozenTrial) -> dict[int, float]:
    """Return the metric after each epoch. With several objectives Optuna has no values of epochs."""
    attribute = trial.user_attrs.get(REPORTED, {})
    return {int(epoch): value for epoch, value in attribute.items()} or dict(trial.intermediate_values)


def _value(trial: FrozenTrial, reported: Mapping[int, float]) -> float | None:
    """Return a trial's first value. Of a pruned trial Optuna has the last one reported, not that of the best epoch."""
    value = trial.values[0] if trial.values else None
    if trial.state != TrialState.PRUNED:
        return value
    return reported.get(trial.user_attrs.get("best_epoch", -1), value)


def ranked(rows: Sequence[TrialRow], direction: str) -> list[TrialRow]:
    """Return the trials that can be the best, best first; of equal ones the earlier comes first."""
    comparable = [row for row in rows if row.is_comparable]
    return sorted(comparable, key=lambda row: (-sign_of(direction) * (row.value or 0.0), row.number))


def front(rows: Sequence[TrialRow], objectives: Sequence[Objective]) -> list[TrialRow]:
    """Return the trials that no other dominates, the best in the first objective first; of equal ones the earlier."""
    comparable = sorted((row for row in rows if row.is_comparable), key=lambda row: row.number)
    return [comparable[index] for index in front_of([row.values for row in comparable], objectives)]


def is_worth_keeping(values: Sequence[float], rows: Sequence[TrialRow], objectives: Sequence[Objective]) -> bool:
    """Return True if a trial with these values is better than all others so far, or on the front with them."""
    return improves(values, (row.values for row in rows if row.is_comparable), objectives)
