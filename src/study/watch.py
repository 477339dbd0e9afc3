"""How a study sees a training: an observer that reports each epoch and says when it should end."""

import threading

import optuna

STOPPED = "the sweep was stopped"


class Stopped(KeyboardInterrupt):
    """The sweep was asked to stop, so the trial ends with its epoch."""


class TrialWatch:
    """An observer that reports each epoch to the trial, and ends the training when it is pruned or the sweep stops.

    A trial that has come to its last epoch is complete: there is nothing left to save by ending it.
    """

    def __init__(self, trial: optuna.Trial, metric: str, epochs: int, stop: threading.Event) -> None:
        self.trial = trial
        self.metric = metric
        self.epochs = epochs
        self.stop = stop
        self.pruned = False

    def __call__(self, epoch: int, logs: dict[str, float]) -> bool:
        self.trial.report(logs[self.metric], epoch)
        if epoch == self.epochs:
            return False
        self.pruned = self.trial.should_prune()
        if self.stop.is_set():
            raise Stopped(STOPPED)
        return self.pruned
