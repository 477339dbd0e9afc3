"""Learning-rate schedules: from their configs to Keras."""

from __future__ import annotations

from typing import NamedTuple

import keras

from src.fitting.metrics import keras_mode
from src.schema import (
    Config,
    CosineConfig,
    CosineRestartsConfig,
    ExponentialConfig,
    OneCycleConfig,
    PolynomialConfig,
    ReduceOnPlateauConfig,
    ScheduleConfig,
    StepConfig,
)


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


def step(schedule: StepConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """A smaller learning rate after every few epochs."""
    step_epochs = schedule.step_epochs or config.training.epochs / 3
    decay_steps = max(1, round(step_epochs * steps_per_epoch))
    return Schedule(_decay(config, decay_steps, schedule.factor, staircase=True))


def exponential(schedule: ExponentialConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """A learning rate that falls by the same factor in each epoch."""
    return Schedule(_decay(config, steps_per_epoch, schedule.factor))


def _decay(
    config: Config, steps: int, factor: float, staircase: bool = False
) -> keras.optimizers.schedules.ExponentialDecay:
    return keras.optimizers.schedules.ExponentialDecay(config.optimizer.learning_rate, steps, factor, staircase)


def polynomial(schedule: PolynomialConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """The full rate at the first step, `alpha` times it at the end."""
    learning_rate = config.optimizer.learning_rate
    return Schedule(
        keras.optimizers.schedules.PolynomialDecay(
            learning_rate,
            decay_steps=config.training.epochs * steps_per_epoch,
            end_learning_rate=schedule.alpha * learning_rate,
            power=schedule.power,
        )
    )


def one_cycle(schedule: OneCycleConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """Keras' cosine decay after a warm-up that takes a share of all steps; both have at least one step."""
    learning_rate, steps = config.optimizer.learning_rate, config.training.epochs * steps_per_epoch
    warmup_steps = max(1, round(schedule.warmup_fraction * steps))
    return Schedule(
        keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=schedule.initial_fraction * learning_rate,
            decay_steps=max(1, steps - warmup_steps),
            alpha=schedule.alpha,
            warmup_target=learning_rate,
            warmup_steps=warmup_steps,
        )
    )


def cosine_restarts(schedule: CosineRestartsConfig, config: Config, steps_per_epoch: int) -> Schedule:
    """Keras' cosine decay with restarts. The first cycle is so long that all cycles together fill the training."""
    lengths = sum(schedule.factor**cycle for cycle in range(schedule.cycles))  # of all cycles, in lengths of the first
    steps = config.training.epochs * steps_per_epoch
    return Schedule(
        keras.optimizers.schedules.CosineDecayRestarts(
            config.optimizer.learning_rate,
            first_decay_steps=max(1.0, steps / lengths),
            t_mul=schedule.factor,
            m_mul=schedule.height,
            alpha=schedule.alpha,
        )
    )
