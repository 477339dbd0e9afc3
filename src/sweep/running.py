"""A sweep: one study, its trials trained by worker processes, all of it under one MLflow run.

`run_study` is the story. Any part of it may be killed at any time: the same command goes on where it ended.
"""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from src import console, reports, study, tracking
from src.errors import StoreError, UserError
from src.process.interrupt import Interrupted
from src.redact import HIDDEN, redact
from src.results import SweepResult, TrialRow, trial_name
from src.schema import Scalar
from src.space import SweepPlan
from src.sweep.runs import config_of_trial, open_parent, runs_of_trials, warnings_of
from src.sweep.setting import describe_setting, find_data, setting_digest
from src.sweep.worker import Job
from src.sweep.workers import Workers

TICK = 0.5  # seconds between two looks at the study


class StoppedElsewhere(UserError):
    """Another process asked the sweep to stop."""


@dataclass(frozen=True)
class Sweep:
    """A sweep that has begun.

    Attributes:
        job: what its workers are told.
        claims: its trials.
        store: where its runs are kept.
        parent: the MLflow run that the trials' runs stand under.
    """

    job: Job
    claims: study.Claims
    store: tracking.Store
    parent: tracking.Run


def run_study(plan: SweepPlan) -> SweepResult:
    """Runs trials until the study has as many as were asked for, and records how it went.

    Args:
        plan: what is searched and how, from `src.space.planning.plan_sweep`.

    Raises:
        UserError: a store that cannot be used, a study of this name that was made with another setting, or too many
            failed trials in a row.
        Interrupted: Ctrl-C or SIGTERM; the same command goes on.
    """
    queue = first_trials(plan)
    n_trials = min(plan.settings.n_trials or len(queue), len(queue) if is_grid(plan) else sys.maxsize)
    # Workers first: what they import takes longer than all that is done here meanwhile.
    with Workers(min(plan.settings.n_jobs, n_trials)) as workers:
        reports.check_recipe_name(plan.settings.save_best_as)
        study.check_sampler(plan.settings.sampler, plan.space.dimensions)
        storage = study.open_storage(plan.settings.storage, plan.example.tracking.uri)
        store = tracking.open_store(plan.example.tracking)
        data = find_data(plan)
        for found in data:
            console.warn(found.warnings)
        with signals_noted() as received, closing(storage):
            with tracking.failures_told(plan.example.tracking.uri):
                sweep = begin(plan, storage, store, describe_setting(plan, data), queue, n_trials)
            error = watch(workers, sweep, received)
            workers.kill()
            result, error = record(sweep, error)
    say_how_it_stands(sweep, result, error)
    if error is not None and study.is_outage(error):
        raise StoreError(f"{plan.settings.storage} failed during the sweep: {str(error).splitlines()[0]}") from error
    if error is not None:
        raise error
    assert result is not None
    return result


def begin(
    plan: SweepPlan,
    storage: study.Storage,
    store: tracking.Store,
    setting: Mapping[str, str],
    queue: list[dict[str, Scalar]],
    n_trials: int,
) -> Sweep:
    """Makes the study and its MLflow run, or resumes them and says which of its runs are gone."""
    name = plan.settings.study_name or f"{plan.name}-{setting_digest(setting)}"
    with storage.locks.holding(f"study {name}"):
        opened = study.open_study(name, storage.optuna, plan.direction)
        study.check_setting(opened, setting, plan.space.dimensions, plan.settings.on_change)
        study.ask_to_stop(opened, False)
        study_id = tracking.StudyId(name, study.unique_id(opened))
        parent = open_parent(store, study_id, plan)
    rows = study.trial_rows(opened.get_trials(deepcopy=False))
    runs = runs_of_trials(store, study_id, parent)
    console.warn(warnings_of(store, study_id, plan.example.tracking, rows, runs))

    def lose(number: int) -> None:
        named = trial_name(number)
        tracking.record_lost_trial(store, study_id, number, run_name=named, parent_run_id=parent.run_id)

    job = Job(
        plan=plan,
        study=study_id,
        parent_run_id=parent.run_id,
        n_trials=n_trials,
        queue=queue,
        first=len(rows),
        deadline=None if plan.settings.timeout is None else time.monotonic() + plan.settings.timeout,
    )
    claims = study.Claims(name, *storage, plan.settings, n_trials=n_trials, on_dead=lose)
    return Sweep(job, claims, store, parent)


def record(sweep: Sweep, error: BaseException | None) -> tuple[SweepResult | None, BaseException | None]:
    """Ends what dead workers left behind, and writes tables, pictures and the status into the sweep's run.

    A parent run that was FINISHED before, and in which nothing ran since, keeps its status and end time.

    Returns:
        Where the sweep stands, None when that cannot be found out, and what ended it before its time.
    """
    job, plan, parent = sweep.job, sweep.job.plan, sweep.parent
    result, is_shared = None, False
    try:
        with sweep.claims.recording(), tracking.failures_told(plan.example.tracking.uri):
            sweep.claims.give_up_dead()
            counts, rows = sweep.claims.counts(), study.trial_rows(sweep.claims.trials())
            is_shared = counts.running > 0  # another terminal is still at it
            running = [row.number for row in rows if row.state == "RUNNING"]
            there = open_parent(sweep.store, job.study, plan)
            parent = parent if parent.run_id == there.run_id else there  # the parent was deleted meanwhile
            runs = runs_of_trials(sweep.store, job.study, parent)
            tracking.end_other_trials(sweep.store, runs, running)
            known = {run.run_id for run in runs}
            first = study.first_of_setting(sweep.claims.study)
            result = reports.record_results(
                parent,
                plan,
                job.study.name,
                rows,
                counts,
                known,
                lambda row: config_of_trial(sweep.store, plan, row, known, first),
            )
            if parent.run_id is not None and result.best_trial is not None:
                plots = study.study_figures(sweep.claims.study, plan.metric)
                page = study.study_page(sweep.claims.study, plan.metric)
                reports.record_plots(parent, rows, plan.metric, plots, page)
            if counts.counted >= job.n_trials and isinstance(error, Interrupted | StoppedElsewhere):
                error = None  # it came too late
    except Exception as problem:
        if error is not None:
            console.warn([f"the results could not be written: {str(problem).splitlines()[0]}"])
        error = error or problem
    if parent.run_id is not None and not is_shared and parent.status != "FINISHED":  # else nothing ran in it
        stopped = isinstance(error, KeyboardInterrupt | StoppedElsewhere)
        with tracking.failures_told(plan.example.tracking.uri):
            parent.end("FINISHED" if error is None else "KILLED" if stopped else "FAILED", error)
    return result, error


def say_how_it_stands(sweep: Sweep, result: SweepResult | None, error: BaseException | None) -> None:
    """Print the counts, the best trial, where to look, and how to resume when something is left to do.

    The command is not printed after an error whose message already says what to do.
    """
    plan = sweep.job.plan
    if result is not None:
        console.say(console.count_words(result.counts))
        if result.best_trial is not None:
            best = f"best: trial {result.best_trial}, {plan.metric} {result.best_value:.4f}"
            console.say(f"{best}  {console.params_line(result.best_params)}")
            if result.best_config is None:
                console.say(
                    "best.yaml was not written: the trial's run is gone, and the study's settings were changed after it"
                )
    if result is None or result.counts.counted < sweep.job.n_trials:
        seconds = plan.settings.timeout
        if seconds is not None and result is not None and error is None and result.counts.total == sweep.job.first:
            console.say(f"hydra.sweeper.timeout={seconds} ended before a trial began; set a longer one")
        if error is None or isinstance(error, Interrupted | StoppedElsewhere):
            console.say(f"resume with: {same_command()}")
        elif isinstance(error, StoreError) or study.is_outage(error):
            console.say(f"once that works again, resume with: {same_command()}")
    run_id = sweep.parent.run_id if result is None else result.run_id
    if run_id is not None:
        console.say_where(run_id, sweep.parent.experiment_id, plan.example.tracking.uri)


def is_grid(plan: SweepPlan) -> bool:
    """Return whether every combination is trained, and none is proposed."""
    return plan.settings.sampler.is_exhaustive


def first_trials(plan: SweepPlan) -> list[dict[str, Scalar]]:
    """The parameters that are tried before the sampler is asked: all of a grid, or the configuration's own."""
    if is_grid(plan):
        return plan.space.grid()
    return [plan.space.defaults()] if plan.settings.enqueue_default else []


def watch(workers: Workers, sweep: Sweep, received: list[int]) -> BaseException | None:
    """Hands out the job and tells of each trial that ends, until no worker is left.

    The first signal lets the running trials end with their epoch, the second ends them at once.

    Returns:
        What ended the sweep before its time.
    """
    job, claims = sweep.job, sweep.claims

    def rows() -> list[TrialRow]:
        return study.trial_rows(claims.trials())

    try:
        if claims.is_done():
            workers.kill()
        else:
            console.say(f"study {job.study.name}: {job.n_trials} trials, {workers.n_jobs} at a time")
            with tracking.failures_told(job.plan.example.tracking.uri):
                sweep.parent.set_running()
            workers.begin(job)
        stopping = killed = False
        with console.SweepView(job.plan.metric, job.plan.direction, job.n_trials, rows()) as view:
            while workers.wait(TICK):
                if (received or study.is_stopped(claims.study)) and not stopping:
                    stopping = True
                    workers.stop()
                    console.say("stopping: the running trials end with their epoch; Ctrl-C once more ends them at once")
                if len(received) > 1 and not killed:
                    killed = True
                    workers.kill()
                workers.look_after()
                if view.update(rows(), claims.counts()):
                    workers.note_progress()
            view.update(rows(), claims.counts())
    except BaseException as error:
        return error
    if received:
        return Interrupted(received[0])
    if stopping:
        return StoppedElsewhere("stopped by `python -m src.sweep stop`")
    if workers.failing:
        return UserError(_why_failing(rows(), job.plan.settings.max_failures))
    return None


def _why_failing(rows: list[TrialRow], max_failures: int) -> str:

    reasons = [row.reason for row in rows if row.state == "FAIL"]
    last = next(
        (reason for reason in reversed(reasons) if reason != study.STOPPED), study.STOPPED
    )  # others end because of it
    return (
        f"hydra.sweeper.max_failures={max_failures} trials in a row failed, the last with: {last}. "
        "Narrow the space, or allow more"
    )


def same_command() -> str:
    """What was typed, ready to be typed again."""
    module = sys.modules["__main__"].__spec__
    name = module.name if module is not None else "src.train"
    typed = f"python -m {name} {shlex.join(sys.argv[1:])}"
    return typed if redact(typed) == typed else f"{redact(typed)} (with what {HIDDEN} stands for)"


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Notes the signals that ask the process to stop, for as long as the block lasts."""
    received: list[int] = []
    asking = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {signum: signal.getsignal(signum) for signum in asking}
    for signum in asking:
        if before[signum] is not signal.SIG_IGN:
            signal.signal(signum, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
