"""A study as plain numbers, for tables, lines and pictures."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from src.results import TrialRow
from src.search.claims import INTERRUPTED, REASON


def trial_rows(trials: Sequence[FrozenTrial]) -> list[TrialRow]:
    """A row for each trial, by number."""
    return [
        TrialRow(
            number=trial.number,
            state=trial.state.name,
            value=trial.value,
            params=trial.params,
            seconds=trial.duration.total_seconds() if trial.duration else None,
            best_epoch=trial.user_attrs.get("best_epoch"),
            epochs=trial.user_attrs.get("epochs", len(trial.intermediate_values)),
            reported=dict(trial.intermediate_values),
            run_id=trial.user_attrs.get("run_id"),
            interrupted=bool(trial.user_attrs.get(INTERRUPTED)),
            reason=str(trial.user_attrs.get(REASON, "")),
        )
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]


def ranked(rows: Sequence[TrialRow], direction: str) -> list[TrialRow]:
    """The completed trials, best first; of equals the earlier one."""
    complete = [row for row in rows if row.state == TrialState.COMPLETE.name and row.value is not None]
    sign = -1 if direction == "maximize" else 1
    return sorted(complete, key=lambda row: (sign * (row.value or 0.0), row.number))
