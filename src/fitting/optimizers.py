"""Compiling a network: its optimizer, its loss, its metrics, and how many batches one call trains."""

from typing import Any

import keras

from src.errors import ConfigError
from src.fitting.losses import build_loss, check_loss
from src.fitting.metrics import check_metrics, metrics_in_epoch, metrics_of_predictions
from src.fitting.predictions import Predictions
from src.fitting.replicas import DividedLoss, replicas_of, scope_of, synchronize_normalization
from src.fitting.schedules import build_schedule
from src.models.arithmetic import multiply_adds
from src.schema import Config

UNDECAYED = ("bias", "gamma", "beta")  # the names of Keras' biases, and of the variables of its normalizations
LARGEST_CALL = 50e9  # multiply-adds that one call of the compiled train function may take: a few seconds on two cores


def compile_model(model: keras.Model, config: Config, steps_per_epoch: int) -> None:
    """Compiles the model for training: optimizer, loss, the other metrics.

    XLA is left off: it made LeNot three times slower on CPUs. With `optimizer.l2`, the kernels get an L2 penalty.

    Args:
        model: compiled in place.
        config: `optimizer`, `schedule`, `loss` and `training` are read.
        steps_per_epoch: batches in an epoch, for a learning rate that changes step by step.
    """
    loss = build_loss(config.loss)
    check_loss(loss, config.loss, model.output_shape[-1])
    if config.optimizer.l2:
        penalize(model, config.optimizer.l2)
    is_replicated = replicas_of(model) > 1
    if is_replicated:
        synchronize_normalization(model)
    with scope_of(model):
        model.compile(
            optimizer=build_optimizer(config, steps_per_epoch),
            loss=DividedLoss(loss) if is_replicated else loss,
            metrics=[*metrics_in_epoch(), *_predictions(config, model.output_shape[-1])],
            steps_per_execution=steps_per_execution(model, config),
            jit_compile=False,
        )


class Penalty(keras.regularizers.L2):
    """The L2 penalty: its gradient is Keras', 2 `l2` w for a weight w, and its value is 0.

    So the reported losses are the configured loss alone. If they included the penalty, `val_loss` would grow with `l2`,
    and could be compared neither with that of another `l2` nor with `test_loss`.
    """

    def __call__(self, x: Any) -> Any:
        """Return 0, with the gradient of the penalty."""
        penalty = super().__call__(x)
        return penalty - keras.ops.stop_gradient(penalty)


def penalize(model: keras.Model, l2: float) -> None:
    """Give the trained weights an L2 penalty, except biases and normalizations. A saved model does not contain it."""
    for variable in model.trainable_variables:
        if variable.name not in UNDECAYED:
            variable.regularizer = Penalty(l2)


def _predictions(config: Config, num_classes: int) -> list[Predictions]:
    """Return what keeps the predictions for the validation split, if a recorded metric is computed from them."""
    names = metrics_of_predictions(config.training.recorded)
    check_metrics(names, num_classes)
    return [Predictions(names)] if names else []


def steps_per_execution(model: keras.Model, config: Config) -> int:
    """Return `training.steps_per_execution`, or fewer batches where they take so long that nothing is gained.

    Between two calls progress is shown and a stop takes effect. On several devices Keras cannot train more than one
    batch in a call.
    """
    if replicas_of(model) > 1:
        return 1
    affordable = LARGEST_CALL // (config.training.batch_size * max(1, multiply_adds(model)))
    return max(1, min(config.training.steps_per_execution, int(affordable)))


def build_optimizer(config: Config, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return the Keras optimizer of `config.optimizer`, with the learning rate of `config.schedule`."""
    accumulated = config.optimizer.gradient_accumulation_steps
    if accumulated is not None and accumulated > steps_per_epoch:
        raise ConfigError(
            f"optimizer.gradient_accumulation_steps: {accumulated} batches share an update, but an epoch has "
            f"{steps_per_epoch}; use at most that many, or a smaller training.batch_size"
        )
    learning_rate = build_schedule(config, steps_per_epoch).learning_rate
    settings = config.optimizer.arguments() | {"learning_rate": learning_rate}
    optimizer: keras.optimizers.Optimizer = config.optimizer.build(keras.optimizers.Optimizer, **settings)
    if not config.optimizer.decay_biases:
        optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer
