"""Training for a number of epochs, or until something stops it."""

import contextlib
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from src.datasets import Dataset, Split
from src.datasets.arrays import Labels
from src.fitting.averages import AveragedWeights
from src.fitting.batches import scoring_batch, scoring_batches, training_batches, weighted
from src.fitting.metrics import keras_mode
from src.fitting.optimizers import compile_model
from src.fitting.order import EpochOrder
from src.fitting.parts import in_parts, parts_for
from src.fitting.replicas import check_splits, divided, replicas_of, scope_of
from src.fitting.schedules import build_schedule
from src.fitting.state import EARLY_STOPPING, EpochEnd, Phase
from src.fitting.steps import own_steps
from src.fitting.watch import Watch
from src.schema import Config

SINGLE = Phase()  # of a training without phases


class Fit(NamedTuple):
    """The result of a training.

    Attributes:
        history: metric name -> one value per epoch.
        best_epoch: the epoch whose weights the model now has, counted from 1.
        stopped: why training ended before its last epoch: `early_stopping`, `observer` or `last_epoch`; else None.
        phases: name and first epoch of each phase, empty if there was one.
    """

    history: dict[str, list[float]]
    best_epoch: int
    stopped: str | None
    phases: tuple[tuple[str, int], ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the best epoch."""
        return {name: values[self.best_epoch - 1] for name, values in self.history.items()}


def class_weights(labels: Labels) -> npt.NDArray[np.float64]:
    """Return the weight of each class, n / (k n_c): n images, k classes that occur, n_c images of class c."""
    counts = np.bincount(labels)
    weights: npt.NDArray[np.float64] = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return weights


def validation_batch(model: keras.Model, split: Split) -> int:
    """Return the size of the batches in which the split is scored after each epoch.

    On several devices the last batch, too, has at least one image for each of them.
    """
    replicas = replicas_of(model)
    size = scoring_batch(model) * replicas
    while 0 < len(split) % size < replicas:
        size += 1
    return size


def fit_epochs(model: keras.Model, dataset: Dataset, config: Config, watch: Watch, phase: Phase = SINGLE) -> Fit:
    """Train from the first epoch that `watch` has not seen to the last one, and restore the best weights of these.

    Args:
        model: compiled; trained in place.
        dataset: its `train` split is for training; its `validation` split is scored after each epoch.
        config: `training`, `optimizer`, `schedule` and `seed` are read.
        watch: the callback that sees every epoch.
        phase: says where these epochs end.
    """
    first, last = len(watch.history.get("loss", ())), phase.last or config.training.epochs
    keep_best = _keep_best(config) if dataset.validation is not None else None
    schedule = build_schedule(config, watch.batches).callbacks
    averages = [AveragedWeights()] if config.optimizer.ema_momentum is not None else []
    others = [*([keep_best] if keep_best else []), *schedule]
    trained, batches, order = prepare(model, dataset, config, watch.batches)
    scored = dataset.validation and scoring_batches(dataset.validation, validation_batch(model, dataset.validation))
    epoch_end = EpochEnd(watch, keep_best, [*others, *averages], phase)
    if epoch_end.resume(trained, last):
        epochs = first
    else:
        with own_steps(trained, batches, scored) if replicas_of(model) == 1 else contextlib.nullcontext():
            fitted = trained.fit(
                batches,
                validation_data=scored and divided(scored, model),
                initial_epoch=first,
                epochs=last,
                callbacks=[order, *averages, watch, *others, epoch_end],
                shuffle=False,  # the batches are shuffled already
                verbose=0,
            )
        epochs = first + len(fitted.epoch)
    stopped = None if epochs == last else watch.stopped or EARLY_STOPPING
    return Fit(watch.history, keep_best.best_epoch + 1 if keep_best else epochs, stopped)


def prepare(
    model: keras.Model, dataset: Dataset, config: Config, steps_per_epoch: int
) -> tuple[keras.Model, Any, EpochOrder]:
    """Return the network that Keras fits, in parts if it is divided among the cores, and its batches.

    Args:
        model: compiled; it shares its weights with the network that is returned.
        dataset: its `train` split is trained on.
        config: `training`, `augmentation` and `seed` are read, and for a divided network what `compile_model` reads.
        steps_per_epoch: batches in an epoch.

    Returns:
        The network, the batches, and the callback that sets their order in each epoch.
    """
    check_splits(dataset, config.training.batch_size, replicas_of(model))
    trained = in_parts(model, parts_for(config))
    if trained is not model:
        compile_model(trained, config, steps_per_epoch)
    with scope_of(trained):  # a function that makes variables while TensorFlow traces it is traced twice
        trained.optimizer.build(trained.trainable_variables)
    batches, order = training_batches(
        dataset.train, config.training.batch_size, config.seed, config.augmentation, model.output_shape[-1]
    )
    if config.training.class_weights:
        batches = weighted(batches, class_weights(dataset.train.labels))
    return trained, divided(batches, model), order


def _keep_best(config: Config) -> keras.callbacks.EarlyStopping:
    """Return the callback that keeps the weights of the best epoch, and ends the training where that is wanted."""
    return keras.callbacks.EarlyStopping(
        config.training.monitor,
        mode=keras_mode(config.training.monitor),
        patience=config.training.early_stopping_patience or config.training.epochs,
        restore_best_weights=True,
    )
