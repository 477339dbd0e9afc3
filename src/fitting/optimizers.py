"""The optimizer and its learning rate: from their configs to Keras."""

from dataclasses import asdict
from typing import Any

import keras
import tensorflow as tf

from src.models.arithmetic import multiply_adds
from src.schema import Config, CosineConfig

LARGEST_CALL = 50e9  # multiply-adds that one call of the compiled train function may take: a few seconds on two cores

OPTIMIZERS: dict[str, type[keras.optimizers.Optimizer]] = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "sgd": keras.optimizers.SGD,
}


def compile_model(model: keras.Model, config: Config, steps_per_epoch: int) -> None:
    """Readies the model for training: optimizer, sparse categorical cross-entropy, accuracy.

    XLA is left off: it made LeNot three times slower on CPUs.

    Args:
        model: compiled in place.
        config: `optimizer`, `schedule` and `training` are read.
        steps_per_epoch: batches in an epoch, for a learning rate that changes step by step.
    """
    model.compile(
        optimizer=build_optimizer(config, steps_per_epoch),
        loss="sparse_categorical_crossentropy",
        metrics=[Accuracy(name="accuracy")],
        steps_per_execution=steps_per_execution(model, config),
        jit_compile=False,
    )


class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of right predictions, told from what goes into the softmax: the largest stays the largest.

    Keras takes the loss from there too, so that training computes no softmax at all.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if tf.is_symbolic_tensor(y_pred) and y_pred.op.type == "Softmax":
            y_pred = y_pred.op.inputs[0]
        return super().update_state(y_true, y_pred, sample_weight)


def steps_per_execution(model: keras.Model, config: Config) -> int:
    """As many batches as `training.steps_per_execution` allows, fewer where they take so long that nothing is gained.

    Between two calls progress is shown and a stop is heard.
    """
    affordable = LARGEST_CALL // (config.training.batch_size * max(1, multiply_adds(model)))
    return max(1, min(config.training.steps_per_execution, int(affordable)))


def build_optimizer(config: Config, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The Keras optimizer whose fields `config.optimizer` carries, with the learning rate of `config.schedule`."""
    settings = asdict(config.optimizer)
    if isinstance(config.schedule, CosineConfig):
        settings["learning_rate"] = cosine_with_warmup(
            config.optimizer.learning_rate, config.schedule, config.training.epochs, steps_per_epoch
        )
    return OPTIMIZERS[settings.pop("name")](**settings)


def cosine_with_warmup(
    learning_rate: float, schedule: CosineConfig, epochs: int, steps_per_epoch: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Keras' own cosine decay: 0 at the first step, `learning_rate` after the warm-up, `alpha` times it at the end."""
    warmup_steps = min(round(schedule.warmup_epochs * steps_per_epoch), epochs * steps_per_epoch - 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else learning_rate,
        decay_steps=epochs * steps_per_epoch - warmup_steps,
        alpha=schedule.alpha,
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
