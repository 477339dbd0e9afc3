"""Learning-rate schedules: from their configs to Keras."""

from __future__ import annotations

from typing import NamedTuple

import keras

from src.fitting.metrics import keras_mode
from src.schema import Config, CosineConfig, ReduceOnPlateauConfig, ScheduleConfig


class Schedule(NamedTuple):
    """A learning rate and what changes it.

    Attributes:
        learning_rate: the optimizer's, or a function of its step.
        callbacks: called by Keras after each epoch.
    """

    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
    callbacks: tuple[keras.callbacks.Callback, ...] = ()


def build_schedule(config: Config, steps_per_epoch: int) -> Schedule:
    """Return the schedule of `config.schedule` for `training.epochs` of this many batches."""
    schedule: Schedule = config.schedule.build(Schedule, config.schedule, config, steps_per_epoch)
    return schedule


def constant(schedule: ScheduleConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """The optimizer's learning rate throughout."""
    return Schedule(config.optimizer.learning_rate)


def reduce_on_plateau(schedule: ReduceOnPlateauConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """A smaller learning rate after several epochs without a better `training.monitor`."""
    callback = keras.callbacks.ReduceLROnPlateau(
        config.training.monitor,
        mode=keras_mode(config.training.monitor),
        factor=schedule.factor,
        patience=schedule.patience,
        min_lr=schedule.min_learning_rate,
    )
    return Schedule(config.optimizer.learning_rate, (callback,))


def cosine(schedule: CosineConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """Keras' own cosine decay: 0 at the first step, the full rate after the warm-up, `alpha` times it at the end."""
    learning_rate, steps = config.optimizer.learning_rate, config.training.epochs * steps_per_epoch
    warmup_steps = min(round(schedule.warmup_epochs * steps_per_epoch), steps - 1)
    return Schedule(
        keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup_steps else learning_rate,
            decay_steps=steps - warmup_steps,
            alpha=schedule.alpha,
            warmup_target=learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    )
