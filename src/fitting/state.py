"""The state of a training: taken after each epoch for a checkpoint, and restored when another process continues it.

It is everything that makes the next epochs equal to those of a training that was never interrupted: the variables of
the model (the random numbers of dropout are among them) and of its optimizer, and what early stopping and the schedule
have counted. The order of the images and their augmentation depend on the seed and the epoch, see `src.fitting.order`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from src.checkpointing import Array, Arrays, Checkpoint
from src.errors import CheckpointError
from src.fitting.watch import Watch

EARLY_STOPPING = "early_stopping"
BYTES = 4  # of a float32
SETTINGS = ("min_delta", "patience")  # of callbacks
Variables = Sequence[keras.Variable]


class Phase(NamedTuple):
    """One phase of a training that has several.

    Attributes:
        number: counted from 1; 0 in a training without phases.
        last: the number of its last epoch; `config.training.epochs` when it is None.
        settled: results of earlier phases that the end of the training needs, as JSON can hold them.
        settled_arrays: the same for arrays.
    """

    number: int = 0
    last: int | None = None
    settled: Mapping[str, Any] = {}
    settled_arrays: Mapping[str, Arrays] = {}


class EpochEnd(keras.callbacks.Callback):
    """The last callback: it takes the state after each epoch, notifies the observers, and writes checkpoints.

    It restores the state too: the callbacks before it have set themselves back by then.

    Args:
        watch: has the observers and the checkpoints.
        keep_best: the callback that keeps the weights of the best epoch, None without a validation split.
        counting: callbacks that count epochs: early stopping and the schedule's.
        phase: the phase that these epochs belong to.
    """

    def __init__(
        self,
        watch: Watch,
        keep_best: keras.callbacks.EarlyStopping | None,
        counting: Sequence[keras.callbacks.Callback],
        phase: Phase,
    ) -> None:
        super().__init__()
        self.watch = watch
        self.keep_best = keep_best
        self.counting = counting
        self.phase = phase

    def resume(self, model: keras.Model, last: int) -> bool:
        """Restore the checkpoint from which the training continues, and return True if no epoch follows.

        Its epoch is shown to the observers again, because their answer may have been lost. If no epoch follows, the
        model has the best weights, as after its last epoch.

        Args:
            model: the model that is trained.
            last: the number of the last epoch.

        Raises:
            CheckpointError: it is the checkpoint of another network or optimizer.
        """
        checkpoint = self.watch.resumed
        if checkpoint is None:
            return False
        for callback in (self.watch, self, *self.counting):
            callback.set_model(model)
        model.stop_training = False
        self._restore(checkpoint)
        self.watch.notify(checkpoint.epoch)
        if self.watch.stopped is None and checkpoint.state["stopped"] is None and checkpoint.epoch < last:
            return False
        self.watch.resumed = None
        if self.keep_best is not None:
            self.keep_best.on_train_end()
        return True

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self.watch.resumed is not None:  # again: the other callbacks have just set themselves back
            self._restore(self.watch.resumed)
            self.watch.resumed = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        checkpoints = self.watch.checkpoints
        if checkpoints is not None:
            checkpoints.end_epoch(self._size(), lambda: self._take(epoch + 1))
        self.watch.notify(epoch + 1)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Give model, optimizer and callbacks the state of a checkpoint."""
        _assign(self._variables(), checkpoint.arrays["variables"].values)
        for callback, values in zip(self.counting, checkpoint.state["callbacks"], strict=True):
            vars(callback).update(values)
        if self.keep_best is not None:
            self.keep_best.best_weights = list(checkpoint.arrays["best"].values)
        self.watch.last_weights = self.model.get_weights()

    def _take(self, epoch: int) -> Checkpoint:
        arrays = {"variables": Arrays(epoch, [np.asarray(variable) for variable in self._variables()])}
        if self.keep_best is not None and self.keep_best.best_weights is not None:
            arrays["best"] = Arrays(self.keep_best.best_epoch + 1, self.keep_best.best_weights)
        state = {
            "history": {name: list(values) for name, values in self.watch.history.items()},
            "phase": self.phase.number,
            "settled": dict(self.phase.settled),
            "callbacks": [_numbers_of(callback) for callback in self.counting],
            "stopped": EARLY_STOPPING if self.model.stop_training else None,
        }
        return Checkpoint(epoch, state, arrays | dict(self.phase.settled_arrays))

    def _variables(self) -> Variables:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _size(self) -> int:
        """Return the bytes of the variables, nearly all of which are float32."""
        return sum(BYTES * math.prod(variable.shape) for variable in self._variables())


def _numbers_of(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return what a callback counts: its attributes that are numbers, without settings.

    Keras turns the sign of `min_delta` at the first epoch. `patience` may be the number of epochs, which may grow.
    """
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(callback).items()
        if name not in SETTINGS and isinstance(value, int | float | np.number | None)
    }


def _assign(variables: Variables, values: Sequence[Array]) -> None:
    """Assign values to variables by their position.

    Raises:
        CheckpointError: their number, a shape or a dtype differs.
    """
    expected = [(tuple(variable.shape), variable.dtype) for variable in variables]
    received = [(value.shape, str(value.dtype)) for value in values]
    if expected != received:
        difference = next((pair for pair in zip(expected, received, strict=False) if pair[0] != pair[1]), None)
        reason = f"{len(received)} arrays, expected {len(expected)}"
        if difference is not None:
            (shape, dtype), (found, found_dtype) = difference
            reason = f"an array is {found_dtype} {found}, expected {dtype} {shape}"
        raise CheckpointError(f"the checkpoint is of another network or optimizer: {reason}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
