"""The learning-rate range test: a short training in which the learning rate grows with each batch.

Reference:
    Smith 2017, "Cyclical Learning Rates for Training Neural Networks" (section 3.3). Here the rate grows by the same
    factor with each batch instead of the same amount, so that several powers of ten can be tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import keras

from src.datasets import Dataset
from src.errors import TrainingDiverged
from src.fitting.epochs import prepare
from src.fitting.memory import check_memory, explain_out_of_memory
from src.fitting.watch import Stoppable
from src.learning_rates import RangeTest, evaluate_losses, has_diverged
from src.process.interrupt import deferred
from src.schema import Config


def range_test(
    model: keras.Model,
    dataset: Dataset,
    config: Config,
    rates: Sequence[float],
    on_batch: Callable[[int], None],
) -> RangeTest:
    """Train a batch with each learning rate, until the loss diverges. The model is of no use afterwards.

    Args:
        model: compiled without a schedule, and with one step per execution.
        dataset: its training images are used again and again, until there is a batch for each rate.
        config: the one that the model was compiled with.
        rates: in the order of the batches.
        on_batch: called after each batch with 1.

    Raises:
        TrainingDiverged: the loss of the first batch is not a finite number.
        NotEnoughMemory: the batches do not fit into memory.
    """
    check_memory(model, min(config.training.batch_size, len(dataset.train)))
    steps = math.ceil(len(dataset.train) / config.training.batch_size)
    with deferred(), explain_out_of_memory(config.training.batch_size):
        trained, batches, order = prepare(model, dataset, config, steps)
        growing = _GrowingRate(rates, on_batch)
        trained.fit(batches, epochs=math.ceil(len(rates) / steps), callbacks=[order, growing], shuffle=False, verbose=0)
    if not growing.losses:
        raise TrainingDiverged(
            f"the loss of the first batch is not a finite number with a learning rate of {rates[0]:g}; use a smaller "
            "min_lr, or check the data and the loss"
        )
    return evaluate_losses(rates, growing.losses)


class _GrowingRate(Stoppable):
    """Sets the learning rate of each batch, and keeps its loss."""

    def __init__(self, rates: Sequence[float], on_batch: Callable[[int], None]) -> None:
        super().__init__()
        self.rates = rates
        self.on_batch = on_batch
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.model.reset_metrics()  # else Keras reports the mean since the beginning of the epoch
        self.model.optimizer.learning_rate = self.rates[len(self.losses)]

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {})["loss"])
        is_finite = math.isfinite(loss)
        if is_finite:
            self.losses.append(loss)
            self.on_batch(1)
        if not is_finite or len(self.losses) == len(self.rates) or has_diverged(self.losses):
            self.model.stop_training = True
        super().on_train_batch_end(batch)
