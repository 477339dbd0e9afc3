"""The Keras callback that shows a training to observers, and the one that lets it be interrupted."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from src.checkpointing import Checkpoints
from src.errors import TrainingDiverged
from src.fitting.predictions import predictions_of
from src.process.interrupt import release
from src.schema import Config

Observer = Callable[[int, dict[str, float]], bool | None]
Weights = list[npt.NDArray[np.float32]]


class Stoppable(keras.callbacks.Callback):
    """Raises a deferred signal between two batches.

    Raised anywhere else, it may reach TensorFlow's C code while that converts an array, and crash the process.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        release()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        release()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        release()


class Watch(Stoppable):
    """Completes the metrics of each epoch, passes them to the observers, and ends a training that diverged.

    Attributes:
        history: metric name -> one value for each complete epoch.
        whole: the network that the observers know. The one that is fitted may be a part or a copy of it.
        last_weights: those of the last complete epoch, None before the first one ends.
        stopped: `observer` or `last_epoch` once one of them has ended the training.
        preparation: seconds of work before the next epoch that count as part of it.
        checkpoints: of the training, None if it has none.
        resumed: the checkpoint from which the training continues, until it is restored.
    """

    def __init__(
        self,
        whole: keras.Model,
        observers: Sequence[Observer],
        on_batches: Callable[[int], None] | None,
        images: int,
        config: Config,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        super().__init__()
        self.whole = whole
        self.checkpoints = checkpoints
        self.resumed = checkpoints.resumed if checkpoints else None
        self.observers = observers
        self.on_batches = on_batches
        self.images = images
        self.batches = math.ceil(images / config.training.batch_size)
        self.config = config
        earlier = self.resumed.state["history"] if self.resumed else {}
        self.history: dict[str, list[float]] = {name: list(values) for name, values in earlier.items()}
        self.last_weights: Weights | None = None
        self.stopped: str | None = None
        self.epoch = 0
        self.preparation = 0.0
        self._start = 0.0
        self._validation_start: float | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self.history:  # the next phase has other weights
            self.last_weights = self.model.get_weights()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch + 1
        self._start, self.preparation = time.perf_counter() - self.preparation, 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._check_finite((logs or {}).get("loss", 0.0))
        if self.on_batches is not None:
            self.on_batches(min(batch + 1, self.batches))
        super().on_train_batch_end(batch)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._validation_start = time.perf_counter()
        if predictions := predictions_of(self.model):
            predictions.start()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.perf_counter()
        seconds, training_seconds = now - self._start, (self._validation_start or now) - self._start
        self._validation_start = None
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self._check_finite(metrics["loss"])
        self._check_finite(metrics.get("val_loss", 0.0))
        if predictions := predictions_of(self.model):
            metrics |= (computed := predictions.end())
            if logs is not None:
                logs.update(computed)  # for early stopping and the schedule, which come after this callback
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        metrics["learning_rate"] = float(f"{rate:.6g}")  # 0.001, not float32's 0.0010000000474974513
        metrics |= {"epoch_seconds": seconds, "images_per_second": self.images / training_seconds}
        for name, value in metrics.items():
            self.history.setdefault(name, []).append(value)
        self.last_weights = self.model.get_weights()

    def notify(self, epoch: int) -> None:
        """Pass the metrics of a complete epoch to the observers, after all other callbacks have seen it."""
        self.epoch = epoch
        metrics = {name: values[epoch - 1] for name, values in self.history.items()}
        self.whole.stop_training = self.model.stop_training  # observers see whether early stopping ends the training
        stops = [observe(epoch, metrics) for observe in self.observers]
        if any(stops) or self.epoch == self.config.training.last_epoch:
            self.stopped = "observer" if any(stops) else "last_epoch"
            self.model.stop_training = True

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            rate = self.config.optimizer.learning_rate
            raise TrainingDiverged(
                f"the loss became {loss} in epoch {self.epoch} with optimizer.learning_rate={rate:g}; "
                f"try optimizer.learning_rate={min(rate / 10, 1e-3):g} or optimizer.clipnorm=1"
            )
