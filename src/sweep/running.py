"""A sweep: one study, whose trials are trained by worker processes, all of it under one MLflow run.

Start reading at `run_study`. Any part of it may be killed at any time: the same command resumes the sweep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import NamedTuple

from src import console, reports, study, tracking
from src.errors import ConfigError, UserError
from src.process.interrupt import Interrupted
from src.results import SweepResult, TrialRow
from src.space import SweepPlan, define
from src.sweep.ending import Ending, StoppedElsewhere, write_plots, write_results
from src.sweep.engines.remote import RemoteWorkers
from src.sweep.local import LocalWorkers
from src.sweep.looking import command_of
from src.sweep.opening import Sweep, open_sweep
from src.sweep.setting import find_data
from src.sweep.stopping import Stopping
from src.sweep.workers import Workers

TICK = 0.5  # seconds between two looks at the study


def run_study(
    plan: SweepPlan, joins: bool = False, has_log: bool = False, order: study.Order | None = None
) -> SweepResult:
    """Runs trials until the study has as many as its settings say, then writes the results.

    Args:
        plan: the checked settings of the sweep, from `src.space.planning.plan_sweep`, or those of a study that exists.
        joins: True if they are those of a study that exists.
        has_log: True if the output of this process is a log.
        order: for a study that exists; it is placed after all checks. None to work on the order that it has.

    Raises:
        UserError: a store cannot be used, a study of this name was made with other settings, or too many trials failed
            in a row.
        Interrupted: Ctrl-C or SIGTERM; the same command resumes the sweep.
    """
    if plan.settings.detach:
        raise ConfigError(
            "hydra.sweeper.detach=true: this command needs the result of the sweep; remove `hydra.sweeper.detach=true`"
        )
    with open_with_workers(plan, joins, has_log, order) as (workers, sweep, stopping):
        ending = Ending(sweep)
        with sweep.claims.alive(sweep.job.starter), ending, stopping.training(), sweep.store.watching():
            sweep.claims.arrive(sweep.job.starter)
            train_trials(workers, sweep, stopping)
        workers.end()
        with ending:
            sweep.claims.give_up_dead(ended=sweep.job.starter)
            stopping.writing_results()
            with sweep.claims.recording():
                ending.result = result = write_results(sweep, is_final=not ending.was_stopped)
                write_plots(sweep, result)
                sweep.claims.read(lambda opened: study.note_report(opened, result.counts.total))
        with ending:
            ending.close_run()
    return ending.conclude()


def submit(plan: SweepPlan) -> None:
    """Start the workers of a sweep on a cluster, and print how to follow it. The last of them writes the results.

    Args:
        plan: the checked settings of the sweep.

    Raises:
        UserError: a store or the cluster cannot be used, or a study of this name was made with other settings.
    """
    with open_with_workers(plan) as (workers, sweep, _):
        name = sweep.job.study.name
        if sweep.claims.is_done():
            console.say(f"study {name} already has its {sweep.job.n_trials} trials")
            return
        with tracking.explain_store_errors(plan.tracking.uri):
            sweep.parent.set_scheduled()
        ending = Ending(sweep)
        with ending:
            give_work(workers, sweep)
        if ending.error is not None:  # no worker will ever end the run
            ending.close_run()
            raise ending.error
    for action in ("watch", "status", "stop"):
        console.say(command_of(action, name, plan.settings.storage))


class Opened(NamedTuple):
    """A sweep that is ready for its trials."""

    workers: Workers
    sweep: Sweep
    stopping: Stopping


@contextmanager
def open_with_workers(
    plan: SweepPlan, joins: bool = False, has_log: bool = False, order: study.Order | None = None
) -> Iterator[Opened]:
    """Open a sweep and its workers, which have no job yet.

    Args:
        plan: the checked settings of the sweep.
        joins: True if they are those of a study that exists.
        has_log: True if the output of this process is a log.
        order: for a study that exists, see `run_study`.
    """
    definition = define(plan)  # refuses what a study must not contain
    n_trials = plan.count_trials(plan.first_trials())
    workers = workers_of(plan, min(plan.settings.n_jobs, n_trials), has_log)
    workers.check(plan)
    with workers:  # first: their imports take longer than everything that is done here meanwhile
        reports.check_recipe_name(plan.settings.save_best_as)
        study.check_sampler(plan.settings.sampler, plan.space.dimensions)
        stopping = Stopping(workers)
        patience = study.Patience(
            plan.settings.storage, study.MAX_OUTAGE_SECONDS, say=console.say, between=stopping.between
        )
        storage = study.open_storage(plan.settings.storage, plan.tracking.uri, patience)
        store = tracking.open_store(plan.tracking, console.say)
        data = find_data(plan)
        with closing(storage), stopping.noting_signals():
            store.stop_waiting_if(lambda: bool(stopping.signals))
            sweep = open_sweep(plan, definition, n_trials, storage, store, data, joins, order)
            yield Opened(workers, sweep, stopping)


def workers_of(plan: SweepPlan, n_jobs: int, has_log: bool) -> Workers:
    """Return the workers of the sweep's engine, which are not started yet."""
    engine = plan.settings.engine
    if engine.is_remote:
        return RemoteWorkers(engine.build(object, engine), plan, n_jobs)
    return LocalWorkers(n_jobs, plan.settings.gpus_per_worker, has_log, plan.settings.max_retries)


def train_trials(workers: Workers, sweep: Sweep, stopping: Stopping) -> None:
    """Starts the workers, and prints a line for each trial that ends, until no worker is left.

    Args:
        workers: processes without a job.
        sweep: the sweep.
        stopping: the signals that this process has received, and receives meanwhile.

    Raises:
        Interrupted: this process received a signal.
        StoppedElsewhere: another process asked the sweep to stop.
        UserError: too many trials failed in a row, or too many workers died.
    """
    claims, plan = sweep.claims, sweep.plan
    if stopping.signals:
        raise Interrupted(stopping.signals[0])
    if claims.is_done():
        workers.end()
    else:
        start_workers(workers, sweep)
    is_noted, is_warned = False, not plan.settings.limits
    with console.SweepView(plan.objectives, sweep.job.n_trials, trial_rows(sweep)) as view:
        while workers.wait(TICK):
            stopping.obey(claims.read(study.is_stopped))
            if stopping.is_asked and not is_noted:
                is_noted = True
                claims.note_stop(sweep.job.starter)
            if workers.have_ended and not stopping.is_asked:
                claims.give_up_dead()  # while this process is `alive`: the trial of a killed worker counts as a retry
            workers.note_progress(claims.count_progress())  # first: a trial that is given up is progress
            workers.replace_dead()
            view.update(trial_rows(sweep), claims.counts())
            is_warned = is_warned or warn_of_limits(sweep)
        view.update(trial_rows(sweep), claims.counts())
    if not is_warned:
        warn_of_limits(sweep)
    if stopping.signals:
        raise Interrupted(stopping.signals[0])
    if stopping.is_asked:
        raise StoppedElsewhere("stopped by `python -m src.sweep stop`")
    claims.read(lambda opened: study.note_queued(opened, None))
    is_done = claims.is_done()
    if workers.failing or (claims.is_failing() and not is_done):
        raise UserError(explain_failures(trial_rows(sweep), plan.settings.max_failures))
    workers.check_ending(is_done)


def start_workers(workers: Workers, sweep: Sweep) -> None:
    """Marks the sweep's run RUNNING, and gives the workers their job."""
    with tracking.explain_store_errors(sweep.plan.tracking.uri):
        sweep.parent.set_running()
    give_work(workers, sweep)


def give_work(workers: Workers, sweep: Sweep) -> None:
    """Give the workers their job."""
    console.say(f"study {sweep.job.study.name}: {sweep.job.n_trials} trials, {workers.n_jobs} at a time")
    workers.note_progress(sweep.claims.count_progress())
    workers.give(sweep.job, lambda: sweep.claims.read(study.ask_to_stop))
    if workers.name:
        sweep.claims.read(lambda opened: study.note_queued(opened, workers.name))


def trial_rows(sweep: Sweep) -> list[TrialRow]:
    """Returns the trials as they are now."""
    settings = sweep.plan.settings
    return study.trial_rows(sweep.claims.trials(), settings.max_retries, settings.limits)


def warn_of_limits(sweep: Sweep) -> bool:
    """Warn if no network meets the limits, after as many trials as may fail in a row; return True if it has warned.

    The sweep continues. A network that is not trained takes little time, and the sampler learns from it.
    """
    enough = min(sweep.plan.settings.max_failures, sweep.job.n_trials)
    line = reports.explain_limits(trial_rows(sweep), sweep.plan.settings.limits, enough)
    if line:
        console.warn([line])
    return bool(line)


def explain_failures(rows: Sequence[TrialRow], max_failures: int) -> str:
    """Returns the message for too many failed trials in a row."""
    # When the last one fails, the trials of other workers are stopped: their reason is not the cause.
    reasons = [row.reason for row in rows if row.state == "FAIL" and (row.attempts or not row.interrupted)]
    return (
        f"hydra.sweeper.max_failures={max_failures} trials in a row failed, the last with: "
        f"{reasons[-1] if reasons else study.STOPPED}. Narrow the space, or allow more failures"
    )
