"""An observer of a training that reports each epoch to its trial, and ends the training early."""

import threading
from collections.abc import Mapping, Sequence

import optuna

STOPPED = "the sweep was stopped"


class Stopped(KeyboardInterrupt):
    """The sweep was asked to stop, so its trials end with their epoch."""


class TrialWatch:
    """Reports each epoch to the trial, and ends the training when the trial is pruned or the sweep stops.

    A trial in its last epoch is neither pruned nor stopped: that would save nothing.

    Args:
        trial: the trial.
        metric: the name of the metric to report.
        epochs: the number of the last epoch.
        stop: set when the sweep is asked to stop.
    """

    def __init__(self, trial: optuna.Trial, metric: str, epochs: int, stop: threading.Event) -> None:
        self.trial = trial
        self.metric = metric
        self.epochs = epochs
        self.stop = stop
        self.pruned = False

    def report_earlier(self, history: Mapping[str, Sequence[float]]) -> None:
        """Report the epochs that an earlier trial of the chain trained, so that the pruner sees them."""
        for epoch, value in enumerate(history[self.metric], start=1):
            self.trial.report(value, epoch)

    def __call__(self, epoch: int, logs: dict[str, float]) -> bool:
        self.trial.report(logs[self.metric], epoch)
        if epoch == self.epochs:
            return False
        self.pruned = self.trial.should_prune()
        if self.stop.is_set():
            raise Stopped(STOPPED)
        return self.pruned
