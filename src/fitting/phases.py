"""Transfer learning in phases: the classifier on features computed once, then also the backbone's last blocks."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from src.checkpointing import Array, Arrays
from src.datasets import Dataset, Split
from src.fitting.batches import image_batches, scoring_batch
from src.fitting.epochs import SINGLE, Fit, fit_epochs
from src.fitting.memory import check_memory
from src.fitting.optimizers import compile_model
from src.fitting.replicas import scope_of
from src.fitting.state import Phase
from src.fitting.watch import Stoppable, Watch
from src.models.transfer import unfreeze_last_blocks
from src.schema import Config, TransferConfig, direction_of, is_better

CLASSIFIER, FINE_TUNING = 1, 2  # the phases


def fit_in_phases(model: keras.Model, dataset: Dataset, config: Config, watch: Watch) -> Fit:
    """Train the classifier while the backbone is frozen; with `fine_tuning`, then train the last blocks as well.

    The model ends with the weights of the best epoch of both phases.

    Args:
        model: from `build_transfer`, its backbone frozen; trained in place.
        dataset: raw images.
        config: `model`, `training`, `optimizer`, `schedule` and `seed` are read.
        watch: the callback that sees the epochs of both phases, numbered consecutively.
    """
    transfer = config.model
    assert isinstance(transfer, TransferConfig)
    if transfer.mode == "feature_extraction":
        return _fit_classifier(model, dataset, config, watch)
    if watch.resumed is not None and watch.resumed.state["phase"] == FINE_TUNING:
        first_best, trained = watch.resumed.state["settled"]["best_epoch"], watch.resumed.state["settled"]["epochs"]
        first_weights: Sequence[Array] = watch.resumed.arrays["first_phase"].values
    else:
        first_config = _for_phase(config, transfer, transfer.head_epochs)
        first = _fit_classifier(model, dataset, first_config, watch, Phase(CLASSIFIER))
        if watch.stopped:  # possibly at the last epoch of this phase
            return first._replace(stopped=watch.stopped)
        first_best, trained, first_weights = first.best_epoch, len(watch.history["loss"]), model.get_weights()
    unfreeze_last_blocks(model, transfer.unfrozen_blocks)
    remaining = config.training.epochs - trained  # more if early stopping ended the first phase
    check_memory(model, min(config.training.batch_size, len(dataset.train)))  # more layers are trained now
    second_config = _for_phase(config, transfer, remaining, transfer.learning_rate_factor)
    compile_model(model, second_config, watch.batches)
    settled = {"best_epoch": first_best, "epochs": trained}
    phase = Phase(FINE_TUNING, config.training.epochs, settled, {"first_phase": Arrays(trained, first_weights)})
    second = fit_epochs(model, dataset, second_config, watch, phase)
    phases = (("classifier", 1), ("fine-tuning", trained + 1))
    monitor = config.training.monitor
    if dataset.validation is not None and not _is_better_epoch(watch, monitor, second.best_epoch, first_best):
        model.set_weights(first_weights)
        return second._replace(best_epoch=first_best, phases=phases)
    return second._replace(phases=phases)


def _for_phase(config: Config, transfer: TransferConfig, epochs: int, factor: float = 1.0) -> Config:
    """Return the configuration of one phase. A schedule reads its number of epochs there."""
    rate = config.optimizer.learning_rate * factor
    return replace(
        config,
        model=replace(transfer, mode="feature_extraction"),
        training=replace(config.training, epochs=epochs, last_epoch=None),  # the watch ends the training there
        optimizer=replace(config.optimizer, learning_rate=rate),
    )


def _is_better_epoch(watch: Watch, monitor: str, epoch: int, other: int) -> bool:
    """Return whether one epoch is better than another."""
    values = watch.history[monitor]
    return is_better(values[epoch - 1], values[other - 1], direction_of(monitor))


def _fit_classifier(model: keras.Model, dataset: Dataset, config: Config, watch: Watch, phase: Phase = SINGLE) -> Fit:
    """Train the layers after the backbone on its features, which are computed once because it is frozen.

    With augmentation the images differ in each epoch, so the backbone computes every batch.
    """
    if config.augmentation.changes_images:
        return fit_epochs(model, dataset, config, watch, phase)
    start = time.perf_counter()
    backbone, head = split_at_features(model)
    validation = dataset.validation and features_of(backbone, dataset.validation)
    features = replace(dataset, train=features_of(backbone, dataset.train, watch), validation=validation)
    compile_model(head, config, watch.batches)
    watch.preparation = time.perf_counter() - start
    return fit_epochs(head, features, config, watch, phase)


def split_at_features(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the part of the model up to its features and the rest, as two models that share its layers."""
    features = model.get_layer("features")
    after = model.layers[model.layers.index(features) + 1 :]
    inputs = keras.Input(features.output.shape[1:], name="backbone_features")
    outputs = inputs
    for layer in after:
        outputs = layer(outputs)
    with scope_of(model):
        head = keras.Model(inputs, outputs, name=model.name)
    return keras.Model(model.input, features.output), head


def features_of(backbone: keras.Model, split: Split, watch: Watch | None = None) -> Split:
    """Return the split with a vector in place of each image: float32, (n, features).

    Args:
        backbone: computes the vectors.
        split: the images.
        watch: reports progress, as if these were the batches of an epoch.
    """
    batch_size = scoring_batch(backbone)
    images = image_batches(split, batch_size)
    callbacks = [_Progress(watch, -(-len(split) // batch_size)) if watch else Stoppable()]
    vectors = backbone.predict(images, verbose=0, callbacks=callbacks)
    return Split(np.asarray(vectors, np.float32), split.labels)


class _Progress(Stoppable):
    """Reports batches of a prediction as the same share of an epoch's batches."""

    def __init__(self, watch: Watch, batches: int) -> None:
        super().__init__()
        self.watch = watch
        self.share = watch.batches / batches

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.watch.on_batches is not None:
            self.watch.on_batches(int((batch + 1) * self.share))
        super().on_predict_batch_end(batch)
