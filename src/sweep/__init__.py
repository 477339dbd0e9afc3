"""A sweep: one study, its trials trained by worker processes, all of it under one MLflow run.

`run_study` is the story. Any part of it may be killed at any time: the same command goes on where it ended.
"""

import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from src.errors import StoreError, UserError
from src.interrupt import Interrupted
from src.redact import HIDDEN, redact
from src.results import SweepResult, TrialRow
from src.schema import Scalar
from src.space import SweepPlan
from src.sweep.setting import describe_setting, find_data, setting_digest
from src.sweep.worker import Job, trial_name
from src.sweep.workers import Workers

if TYPE_CHECKING:
    from src.search import Claims
    from src.tracking import Run

TICK = 0.5  # seconds between two looks at the study


class StoppedElsewhere(UserError):
    """Another process asked the sweep to stop."""


def run_study(plan: SweepPlan) -> SweepResult:
    """Runs trials until the study has as many as were asked for, and records how it went.

    Args:
        plan: what is searched and how, from `src.space.plan_sweep`.

    Raises:
        UserError: a store that cannot be used, a study of this name that was made with another setting, or too many
            failed trials in a row.
        Interrupted: Ctrl-C or SIGTERM; the same command goes on.
    """
    queue = first_trials(plan)
    n_trials = min(plan.settings.n_trials or len(queue), len(queue) if is_grid(plan) else sys.maxsize)
    with Workers(
        min(plan.settings.n_jobs, n_trials)
    ) as workers:  # their imports take longer than what is done meanwhile
        from src import console, report, search, tracking

        report.check_recipe_name(plan.settings.save_best_as)
        search.check_sampler(plan.settings.sampler, plan.space.dimensions)
        storage = search.open_storage(plan.settings.storage, plan.example.tracking.uri)
        store = tracking.open_store(plan.example.tracking)
        data = find_data(plan)
        for found in data:
            console.warn(found.warnings)

        setting = describe_setting(plan, data)
        name = plan.settings.study_name or f"{plan.name}-{setting_digest(setting)}"
        with signals_noted() as received:
            with storage.locks.holding(f"study {name}"):
                study = search.open_study(name, storage.optuna, plan.direction)
                search.check_setting(study, setting, plan.space.dimensions, plan.settings.on_change)
                search.ask_to_stop(study, False)
                study_id = tracking.StudyId(name, search.unique_id(study))
                parent, is_new = tracking.open_parent_run(store, study_id, plan.example.tags)
            if is_new:
                report.record_search(parent, plan)
            job = Job(
                plan=plan,
                study=study_id,
                parent_run_id=parent.run_id,
                n_trials=n_trials,
                queue=queue,
                first=len(study.get_trials(deepcopy=False)),
                deadline=None if plan.settings.timeout is None else time.time() + plan.settings.timeout,
            )
            claims = search.Claims(
                name,
                *storage,
                plan.settings,
                n_trials=n_trials,
                on_dead=lambda number: tracking.record_lost_trial(
                    store, study_id, number, run_name=trial_name(number), parent_run_id=parent.run_id
                ),
            )
            error = watch(workers, claims, job, received)
            workers.kill()
            result = None
            try:
                claims.give_up_dead()
                counts, rows = claims.counts(), search.trial_rows(claims.trials())
                tracking.end_runs_left_behind(store, study_id, [row.number for row in rows if row.state == "RUNNING"])
                result = report.record_results(
                    parent, plan, name, rows, counts, lambda run_id: tracking.read_config(store, run_id)
                )
                if parent.run_id is not None and result.best_trial is not None:
                    plots = search.study_figures(claims.study, plan.metric)
                    page = search.study_page(claims.study, plan.metric)
                    report.record_pictures(parent, rows, plan.metric, plots, page)
                if counts.counted >= n_trials and isinstance(error, Interrupted | StoppedElsewhere):
                    error = None  # it came too late
            except Exception as problem:
                error = error or problem
            if result is None or not counts.running:  # otherwise another terminal is still at it
                conclude(parent, error)
            storage.close()

    if result is not None:
        console.say(console.count_words(counts))
        if result.best_trial is not None:
            best = f"best: trial {result.best_trial}, {plan.metric} {result.best_value:.4f}"
            console.say(f"{best}  {console.params_line(result.best_params)}")
    if result is None or counts.counted < n_trials:
        console.say(f"go on with: {same_command()}")
    if parent.run_id is not None:
        console.say_where(parent.run_id, plan.example.tracking.uri)
    if error is not None and search.is_outage(error):
        raise StoreError(f"{plan.settings.storage} failed during the sweep: {str(error).splitlines()[0]}") from error
    if error is not None:
        raise error
    assert result is not None
    return result


def conclude(parent: "Run", error: BaseException | None) -> None:
    """Sets the final status of the sweep's run."""
    if parent.run_id is not None:
        stopped = isinstance(error, KeyboardInterrupt | StoppedElsewhere)
        parent.end("FINISHED" if error is None else "KILLED" if stopped else "FAILED", error)


def is_grid(plan: SweepPlan) -> bool:
    """Whether every combination is run, and none is proposed."""
    return plan.settings.sampler.name == "grid"


def first_trials(plan: SweepPlan) -> list[dict[str, Scalar]]:
    """The parameters that are tried before the sampler is asked: all of a grid, or the configuration's own."""
    if is_grid(plan):
        return plan.space.grid()
    return [plan.space.defaults()] if plan.settings.enqueue_default else []


def watch(workers: Workers, claims: "Claims", job: Job, received: list[int]) -> BaseException | None:
    """Hands out the job and tells of each trial that ends, until no worker is left.

    The first signal lets the running trials end with their epoch, the second ends them at once.

    Returns:
        What ended the sweep before its time.
    """
    from src import console, search

    def rows() -> list[TrialRow]:
        return search.trial_rows(claims.trials())

    try:
        if claims.is_done():
            workers.kill()
        else:
            console.say(f"study {job.study.name}: {job.n_trials} trials, {workers.n_jobs} at a time")
            workers.begin(job)
        stopping = killed = False
        with console.SweepView(job.plan.metric, job.plan.direction, job.n_trials, rows()) as view:
            while workers.wait(TICK):
                if (received or search.is_stopped(claims.study)) and not stopping:
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
    reasons = [row.reason for row in rows if row.state == "FAIL" and not row.interrupted]
    return (
        f"hydra.sweeper.max_failures={max_failures} trials in a row failed, the last with: {reasons[-1]}. "
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
