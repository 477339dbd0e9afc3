"""An observer of a training that reports each epoch to its trial, and ends the training early."""

import threading
from collections.abc import Mapping, Sequence

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from src.process.interrupt import Abandoned
from src.study.patience import is_temporary

STOPPED = "the sweep was stopped"
LOST_TRIAL = "another process took this worker for dead"
REPORTED = "reported"  # attribute of a trial: the metric after each epoch, in a study with several objectives


class Stopped(KeyboardInterrupt):
    """The sweep was asked to stop, so its trials end with their epoch."""


class TrialLost(Stopped, Abandoned):
    """Another process has ended the trial, because it took this one for dead."""


class TrialWatch:
    """Reports each epoch to the trial, and ends the training when the trial is pruned or lost, or the sweep stops.

    A trial in its last epoch is neither pruned nor stopped: that would save nothing. The training does not wait for a
    storage that does not answer: the epoch is reported with a later one, or by `deliver`.

    Optuna has no values of epochs in a study with several objectives, and prunes nothing there. So they are an
    attribute of the trial.

    Args:
        trial: the trial.
        metric: the name of the metric to report.
        epochs: the number of the last epoch.
        stop: set when the sweep is asked to stop.
        has_front: True if the study has several objectives.
    """

    def __init__(
        self, trial: optuna.Trial, metric: str, epochs: int, stop: threading.Event, has_front: bool = False
    ) -> None:
        self.trial = trial
        self.metric = metric
        self.epochs = epochs
        self.stop = stop
        self.pruned = False
        self._unreported: dict[int, float] = {}
        self._reported: dict[int, float] = {}  # with several objectives
        self._has_front = has_front

    def report_earlier(self, history: Mapping[str, Sequence[float]]) -> None:
        """Report the epochs that an earlier trial of the chain trained, so that the pruner sees them."""
        self._unreported |= dict(enumerate(history[self.metric], start=1))

    def __call__(self, epoch: int, logs: dict[str, float]) -> bool:
        self._unreported[epoch] = logs[self.metric]
        try:
            self.deliver()
            if epoch == self.epochs:
                return False
            self.pruned = not self._has_front and self.trial.should_prune()
        except Exception as error:
            if not is_temporary(error):
                raise
        if epoch != self.epochs and self.stop.is_set():
            raise Stopped(STOPPED)
        return self.pruned

    def deliver(self) -> None:
        """Report the epochs that the storage does not have yet.

        Raises:
            TrialLost: the trial is no longer running, so another process tries it again.
        """
        try:
            if self._has_front:
                self._store_epochs()
            for epoch in list(self._unreported):
                self.trial.report(self._unreported[epoch], epoch)
                del self._unreported[epoch]
        except UpdateFinishedTrialError as error:
            raise TrialLost(LOST_TRIAL) from error

    def _store_epochs(self) -> None:
        """Store all epochs in the trial's attribute."""
        if self._unreported:
            values = self._reported | self._unreported
            self.trial.set_user_attr(REPORTED, values)  # JSON turns the numbers of the epochs into strings
            self._reported, self._unreported = values, {}
