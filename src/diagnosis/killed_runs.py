"""Trainings, sweeps and pipelines that were interrupted, with the commands that resume them."""

from __future__ import annotations

from collections.abc import Iterator

from src import tracking
from src.diagnosis.case import Case, described
from src.diagnosis.finding import Finding


def find_killed_runs(case: Case) -> Iterator[Finding]:
    """Yield KILLED runs, and FAILED ones that have a checkpoint, as information.

    Trials are not among them, because a sweep repeats them by itself, and neither are runs of other programs.
    """
    for status in ("KILLED", "FAILED"):
        for run in case.store.runs(f"attributes.status = '{status}'"):
            if (
                run.is_foreign
                or run.trial is not None
                or (status == "FAILED" and (run.is_parent or not case.last_checkpoint(run)[0]))
            ):
                continue
            end = "was stopped or killed" if status == "KILLED" else "failed"
            ended = f" on {tracking.local_time(run.ended)}" if run.ended else ""
            yield Finding(described(run), end + ended, case.how_to_resume(run), is_fault=False)
