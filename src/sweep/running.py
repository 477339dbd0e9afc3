"""A sweep: one study, whose trials are trained by worker processes, all of it under one MLflow run.

Start reading at `run_study`. Any part of it may be killed at any time: the same command resumes the sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from src import console, reports, study, tracking
from src.errors import UserError
from src.process.gpus import check_gpus_of_worker, describe_sharing
from src.process.interrupt import Interrupted
from src.results import SweepResult, TrialRow
from src.space import SweepPlan
from src.sweep.ending import Ending, StoppedElsewhere, write_plots, write_results
from src.sweep.opening import Sweep, count_trials, first_trials, open_sweep
from src.sweep.setting import find_data
from src.sweep.stopping import Stopping
from src.sweep.workers import Workers

TICK = 0.5  # seconds between two looks at the study


def run_study(plan: SweepPlan) -> SweepResult:
    """Runs trials until the study has as many as its settings say, then writes the results.

    Args:
        plan: the checked settings of the sweep, from `src.space.planning.plan_sweep`.

    Raises:
        UserError: a store cannot be used, a study of this name was made with other settings, or too many trials failed
            in a row.
        Interrupted: Ctrl-C or SIGTERM; the same command resumes the sweep.
    """
    queue = first_trials(plan)
    # Workers first: their imports take longer than everything that is done here meanwhile.
    n_workers = min(plan.settings.n_jobs, count_trials(plan, queue))
    with Workers(n_workers, plan.settings.gpus_per_worker) as workers:
        check_devices(plan, workers)
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
            sweep = open_sweep(plan, queue, storage, store, data)
            ending = Ending(sweep)
            with ending, stopping.training(), store.watching():
                train_trials(workers, sweep, stopping)
            workers.kill()
            with ending:
                sweep.claims.give_up_dead()
                stopping.writing_results()
                with sweep.claims.recording():
                    ending.result = write_results(sweep)
                    write_plots(sweep, ending.result)
            with ending:
                ending.close_run()
    return ending.conclude()


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
        workers.kill()
    else:
        start_workers(workers, sweep)
    with console.SweepView(plan.metric, plan.direction, sweep.job.n_trials, trial_rows(claims)) as view:
        while workers.wait(TICK):
            stopping.obey(claims.read(study.is_stopped))
            workers.replace_dead()
            workers.note_progress(claims.count_progress())
            view.update(trial_rows(claims), claims.counts())
        view.update(trial_rows(claims), claims.counts())
    if stopping.signals:
        raise Interrupted(stopping.signals[0])
    if stopping.is_asked:
        raise StoppedElsewhere("stopped by `python -m src.sweep stop`")
    if workers.failing:
        raise UserError(explain_failures(trial_rows(claims), plan.settings.max_failures))


def check_devices(plan: SweepPlan, workers: Workers) -> None:
    """Raise ConfigError if `training.devices` is larger than the number of GPUs that each worker has."""
    for base in plan.space.bases.values():
        devices = str(base.training.devices)
        if devices.isdecimal() and not plan.space.is_swept("training.devices"):
            check_gpus_of_worker(int(devices), workers.gpus)


def start_workers(workers: Workers, sweep: Sweep) -> None:
    """Marks the sweep's run RUNNING, and gives the workers their job."""
    console.say(f"study {sweep.job.study.name}: {sweep.job.n_trials} trials, {workers.n_jobs} at a time")
    if sharing := describe_sharing(workers.gpus):
        console.say(sharing)
    with tracking.explain_store_errors(sweep.plan.tracking.uri):
        sweep.parent.set_running()
    workers.note_progress(sweep.claims.count_progress())
    workers.give(sweep.job)


def trial_rows(claims: study.Claims) -> list[TrialRow]:
    """Returns the trials as they are now."""
    return study.trial_rows(claims.trials())


def explain_failures(rows: Sequence[TrialRow], max_failures: int) -> str:
    """Returns the message for too many failed trials in a row."""
    # When the last one fails, the trials of other workers are stopped: their reason is not the cause.
    reasons = [row.reason for row in rows if row.state == "FAIL" and row.reason != study.STOPPED]
    return (
        f"hydra.sweeper.max_failures={max_failures} trials in a row failed, the last with: "
        f"{reasons[-1] if reasons else study.STOPPED}. Narrow the space, or allow more failures"
    )
