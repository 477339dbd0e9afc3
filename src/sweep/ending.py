"""The end of a sweep: what it leaves in its run, the run's status, the last lines, and the error that is raised."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Any

from src import console, datasets, links, reports, study, tracking
from src.cli.conversion import config_from_dict
from src.errors import StoreError, UserError
from src.results import SweepResult, TrialRow
from src.schema import COSTS
from src.sweep.meter import Meter
from src.sweep.opening import Sweep
from src.sweep.runs import config_of_trial, open_parent, runs_of_trials


class StoppedElsewhere(UserError):
    """Another process asked the sweep to stop."""


class Ending:
    """Decides how a sweep ends: the status of its run, what is printed, and the exit code.

    `with ending:` keeps an error instead of raising it, so that the results are written after a failure too. `conclude`
    raises it at the very end. An error carries its own exit code and message.

    Attributes:
        sweep: the sweep.
        result: its result, None as long as it is unknown.
        error: the first error, which ended the sweep before all its trials were done.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.result: SweepResult | None = None
        self.error: BaseException | None = None

    def __enter__(self) -> Ending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.error is None:
            self.error = error
        elif error is not None:
            console.warn([f"the results could not be written: {study.reason_of(error)}"])
        return True

    @property
    def has_all_trials(self) -> bool:
        """True if no trial is left to run."""
        return self.result is not None and self.result.counts.counted >= self.sweep.job.n_trials

    @property
    def was_stopped(self) -> bool:
        """True if someone stopped the sweep, so that it did not fail."""
        return isinstance(self.error, KeyboardInterrupt | StoppedElsewhere)

    @property
    def status(self) -> str:
        """The status of the sweep's run."""
        if self.error is None:
            return "FINISHED"
        return "KILLED" if self.was_stopped else "FAILED"

    def close_run(self) -> None:
        """Set the status of the sweep's run, unless another terminal still runs trials of the sweep.

        A run that was FINISHED before, and in which nothing ran since, keeps its status and end time.
        """
        if self.has_all_trials and self.was_stopped:
            self.error = None  # the request came too late
        is_shared = self.result is not None and self.result.counts.running > 0
        parent = self.sweep.parent
        if parent.run_id is not None and not is_shared and parent.status != "FINISHED":
            with tracking.explain_store_errors(self.sweep.plan.tracking.uri):
                parent.end(self.status, self.error)

    def conclude(self) -> SweepResult:
        """Print the last lines, then return the result of the sweep, or raise what ended it."""
        self._print_result()
        self._print_how_to_resume()
        run_id = self.sweep.parent.run_id
        if run_id is not None:
            console.say_where(run_id, self.sweep.parent.experiment_id, self.sweep.plan.tracking.uri)
        if self.error is not None and study.is_outage(self.error):
            storage = self.sweep.plan.settings.storage
            raise StoreError(f"{storage} failed during the sweep: {study.reason_of(self.error)}") from self.error
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def _print_result(self) -> None:
        if self.result is None:
            return
        console.say(console.count_words(self.result.counts))
        if self.result.given_up:
            console.say(console.given_up_words(self.result.given_up))
        if self.result.best_trial is not None:
            best = f"best: trial {self.result.best_trial}, {self.sweep.plan.metric} {self.result.best_value:.4f}"
            console.say_with_params(best, self.result.best_params)
            self._warn_of_costs({self.result.best_trial: self.result.best_costs})
            if self.result.best_config is None:
                console.say("best.yaml was not written: the run of this trial is gone, and the settings were changed")
        if self.result.front:
            console.say_front(self.result.front, self.result.counts.complete)
            self._warn_of_costs({point.trial: point.costs for point in self.result.front})
            if lost := [str(point.trial) for point in self.result.front if point.config is None]:
                console.say(
                    f"no recipe was written for trial {', '.join(lost)}: its run is gone, and the settings were changed"
                )

    def _warn_of_costs(self, costs: Mapping[int, Mapping[str, float]]) -> None:
        """Warn of networks that are over a limit when they are measured again."""
        limits = self.sweep.plan.settings.limits
        console.warn([over for number in costs if (over := reports.explain_winner(number, costs[number], limits))])

    def _print_how_to_resume(self) -> None:
        """Print the command that resumes the sweep, unless the error's own message says what to do."""
        if self.has_all_trials:
            return
        seconds = self.sweep.plan.settings.timeout
        is_first = self.result is not None and self.result.counts.total == self.sweep.job.first
        if seconds is not None and self.error is None and is_first:
            console.say(f"hydra.sweeper.timeout={seconds} ended before a trial began; set a longer one")
        if self.error is None or self.was_stopped:
            console.say(f"resume with: {links.same_command()}")
        elif isinstance(self.error, StoreError) or study.is_outage(self.error):
            console.say(f"once that works again, resume with: {links.same_command()}")


def write_results(sweep: Sweep, is_final: bool = True) -> SweepResult:
    """Write the tables and the description into the sweep's run, and end runs that dead workers left behind.

    Args:
        sweep: the sweep.
        is_final: False if somebody stopped it and waits for its end, so that nothing is measured.
    """
    plan, claims = sweep.plan, sweep.claims
    with tracking.explain_store_errors(plan.tracking.uri):
        sweep.chains.remove_others(claims.open_chains())
        settings = plan.settings
        counts, rows = claims.counts(), study.trial_rows(claims.trials(), settings.max_retries, settings.limits)
        parent = open_parent(sweep.store, sweep.job.study, plan, sweep.data)
        if parent.run_id != sweep.parent.run_id:  # it was deleted meanwhile
            sweep.parent = parent
        runs = runs_of_trials(sweep.store, sweep.job.study, sweep.parent)
        ended = {row.number for row in rows if row.state not in ("RUNNING", "WAITING")}
        tracking.end_left_runs(sweep.store, runs, ended)
        known = {run.run_id for run in runs}
        first = claims.read(study.first_of_setting)
        is_idle = is_final and not counts.running
        with closing(Meter()) as meter:
            return reports.record_results(
                sweep.parent,
                plan,
                sweep.job.study.name,
                rows,
                counts,
                known,
                lambda row: config_of_trial(sweep.store, plan, row, known, first),
                sweep.warnings,
                {run.run_id: run.extensions for run in runs},
                partial(measure_again, sweep, meter if is_idle else None),
            )


def measure_again(
    sweep: Sweep, meter: Meter | None, row: TrialRow, config: Mapping[str, Any] | None
) -> Mapping[str, float]:
    """Return what the network of one of the best trials costs, now that no worker of this machine trains.

    Times are measured again, and so are costs that the trial does not have. Other trials without costs count as within
    the limits, because measuring all of them would need all their networks. The study keeps the result, so a report
    that is written again has the same numbers.

    Args:
        sweep: the sweep.
        meter: None if trials run elsewhere, or somebody waits for the end: then nothing is measured.
        row: the trial.
        config: its resolved configuration, None if it is not known.
    """
    names = [name for name in sweep.plan.settings.costs if COSTS[name].is_time or name not in row.costs]
    known = sweep.claims.read(partial(study.costs_again, number=row.number))
    if config is not None and meter is not None and not known.keys() >= set(names):
        try:
            typed = config_from_dict(dict(config))
            known = meter.measure_apart(typed, datasets.load_dataset(typed.dataset), names)
            sweep.claims.read(partial(study.note_costs, number=row.number, costs=known))
        except UserError as error:
            console.warn([f"the network of trial {row.number} could not be measured again: {error}"])
    return {name: cost for name in COSTS if (cost := known.get(name, row.costs.get(name))) is not None}


def write_plots(sweep: Sweep, result: SweepResult) -> None:
    """Write the plots of the study into the sweep's run, once a trial is complete."""
    if result.run_id is None or (result.best_trial is None and not result.front):
        return
    with tracking.explain_store_errors(sweep.plan.tracking.uri):
        settings = sweep.plan.settings
        rows = study.trial_rows(sweep.claims.trials(), settings.max_retries, settings.limits)
        parameters = sweep.claims.read(study.rank_parameters)
        reports.record_plots(sweep.parent, sweep.plan, result.study_name, rows, sweep.claims.counts(), parameters)
