"""Trainings, sweeps and pipelines that were killed or stopped, with the commands that resume them."""

from __future__ import annotations

from collections.abc import Iterator

from src import tracking
from src.diagnosis.case import Case, described, how_to_resume
from src.diagnosis.finding import Finding


def find_killed_runs(case: Case) -> Iterator[Finding]:
    """Yield KILLED runs, as information. Trials are not among them, because a sweep repeats them by itself."""
    for run in case.store.runs("attributes.status = 'KILLED'"):
        if run.trial is None:
            ended = f" on {tracking.local_time(run.ended)}" if run.ended else ""
            yield Finding(
                described(run), f"was stopped or killed{ended}", how_to_resume(run, case.store.uri), is_fault=False
            )
