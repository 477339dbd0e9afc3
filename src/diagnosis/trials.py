"""Trials and runs that disagree: Optuna's storage and MLflow are written one after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from src import study, tracking
from src.checkpointing import newest_epoch, trial_key
from src.diagnosis.case import Case, described
from src.diagnosis.finding import Finding, Repair
from src.links import restore_command

Runs = dict[int, list[tracking.RunRecord]]  # by the number of the trial
# The status of a run whose trial has ended this way.
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}


def find_disagreements(case: Case) -> Iterator[Finding]:
    """Yield trials whose worker is dead, whose run has another state, or whose run is gone."""
    for record in case.studies():
        runs = _by_trial(case, record, deleted=False)
        yield from _dead_trials(case, record, runs)
        for trial in record.trials:
            for run in runs.get(trial.number, []):
                yield from _other_status(case, record, trial, run)
        yield from _missing_runs(case, record, runs)


def _by_trial(case: Case, record: study.StudyRecord, deleted: bool) -> Runs:
    runs = defaultdict(list)
    for run in case.store.runs_of_study(record.unique, deleted=deleted):
        if run.study == record.unique and run.trial is not None:
            runs[run.trial].append(run._replace(params={}, metrics={}))
    return dict(runs)


def _dead_trials(case: Case, record: study.StudyRecord, runs: Runs) -> Iterator[Finding]:
    for trial in record.trials:
        if trial.is_dead:
            lost = runs.get(trial.number, [])
            for run in lost:
                case.note_lost(run.run_id)
            yield Finding(
                _name(record, trial),
                "says RUNNING, but its worker is dead",
                f"to resume study {record.name} and repeat the trial, run the command of the sweep again",
                Repair(
                    "mark the trial interrupted, and its run KILLED",
                    "the trial is interrupted now, and its run KILLED",
                    partial(_end_trial, case, record, lost),
                ),
            )


def _end_trial(case: Case, record: study.StudyRecord, runs: Sequence[tracking.RunRecord]) -> None:
    assert case.storage is not None
    epoch_of = lambda chain: newest_epoch(case.checkpoints / trial_key(record.unique, chain))  # noqa: E731
    study.end_dead_trials(case.storage, record.name, epoch_of)
    for run in runs:
        if run.status == "RUNNING":
            case.store.end_killed(run)
        elif run.status != "KILLED":
            case.store.set_status(run, "KILLED")


def _other_status(
    case: Case, record: study.StudyRecord, trial: study.TrialRecord, run: tracking.RunRecord
) -> Iterator[Finding]:
    """Yield a run that is RUNNING or FINISHED although its trial has ended in another way."""
    expected = "KILLED" if trial.is_interrupted else STATUS.get(trial.state)
    if expected is None or run.status == expected or run.status not in ("RUNNING", "FINISHED") or case.is_alive(run):
        return
    case.note_lost(run.run_id)
    end = "was interrupted" if trial.is_interrupted else f"is {trial.state}"
    apply = partial(case.store.set_status, run, expected)
    if (run.status, expected) == ("RUNNING", "KILLED"):
        apply = partial(case.store.end_killed, run)
    repair = Repair(f"mark the run {expected}", f"the run is {expected} now", apply)
    yield Finding(described(run), f"is {run.status}, but {_name(record, trial)} {end}", repair=repair)


def _missing_runs(case: Case, record: study.StudyRecord, runs: Runs) -> Iterator[Finding]:
    """Yield complete trials whose run is not in the store."""
    missing = [trial for trial in record.trials if trial.run_id and trial.state == "COMPLETE"]
    missing = [trial for trial in missing if trial.number not in runs]
    if not missing:
        return
    deleted = _by_trial(case, record, deleted=True)
    if not runs and not deleted:
        trials = "1 complete trial" if len(missing) == 1 else f"{len(missing)} complete trials"
        problem = f"has {trials}, but this store has none of their runs"
        advice = "if another store has the runs, examine that one: tracking.uri=ADDRESS"
        yield Finding(f"study {record.name}", problem, advice, is_fault=False)
        return
    for trial in missing:
        if trial.number in deleted:
            command = restore_command(case.store.uri, str(trial.run_id))
            yield Finding(
                _name(record, trial),
                f"is complete, but its run {trial.run_id} was deleted",
                f"to restore the run:\n{command}",
            )
        else:
            advice = "its value stays in the study and still counts; to get the run back, restore a copy of the store"
            yield Finding(_name(record, trial), f"is complete, but its run {trial.run_id} is gone", advice)


def _name(record: study.StudyRecord, trial: study.TrialRecord) -> str:
    return f"trial {trial.number} of study {record.name}"
