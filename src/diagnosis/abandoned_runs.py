"""Runs that say RUNNING although nothing runs them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from src import tracking
from src.diagnosis.case import Case, described
from src.diagnosis.finding import FIX, Finding, Repair


def find_abandoned_runs(case: Case) -> Iterator[Finding]:
    """Yield RUNNING runs of processes that have ended, and list those of other machines, which cannot be seen."""
    for run in case.store.runs("attributes.status = 'RUNNING'"):
        if not run.is_parent and not case.is_alive(run) and not case.is_reported(run):
            yield judge(case, run)


def find_unfinished_parents(case: Case) -> Iterator[Finding]:
    """Yield RUNNING runs of sweeps and pipelines in which nothing runs."""
    studies = {study for study, _ in case.living_trials}
    for run in case.store.runs("attributes.status = 'RUNNING'"):
        if run.is_parent and not case.is_alive(run) and run.study not in studies and not _has_living_child(case, run):
            yield judge(case, run)


def _has_living_child(case: Case, run: tracking.RunRecord) -> bool:
    children = case.store.runs_tagged({tracking.PARENT: run.run_id})
    return any(case.may_run(child) for child in children)


def judge(case: Case, run: tracking.RunRecord) -> Finding:
    """Return the finding about a run that says RUNNING and whose process is not known to exist."""
    repair = Repair("mark the run KILLED", "the run is KILLED now", partial(case.store.end_killed, run))
    if case.is_lost(run):
        problem = f"began on {run.since} and says RUNNING, but its process has ended"
        return Finding(described(run), problem, case.how_to_resume(run), repair)
    host = run.host or "an unknown machine"
    problem = f"began on {run.since} on {host} and says RUNNING; the processes of that machine cannot be seen from here"
    if case.config.hosts == "all":
        return Finding(described(run), problem, case.how_to_resume(run), repair)
    advice = f"if its process has ended, {FIX} hosts=all will mark the run KILLED"
    return Finding(described(run), problem, advice, is_fault=False)
