"""Training and scoring with Keras: seeds, the input pipeline, the fit that observers can watch and stop."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from src.datasets import Dataset, Split
from src.errors import ModelFileError, TrainingDiverged
from src.fitting.batches import scoring_batch, scoring_batches
from src.fitting.epochs import Fit, fit_epochs
from src.fitting.memory import advice_when_full, check_memory
from src.fitting.phases import fit_in_phases
from src.fitting.watch import Observer, Stoppable, Watch
from src.process.interrupt import deferred, release
from src.schema import Config, TransferConfig


class Scores(NamedTuple):
    """One pass over a split.

    Attributes:
        loss: mean sparse categorical cross-entropy.
        accuracy: fraction of right predictions, 0-1.
        probabilities: float32, (n, classes), in the split's order.
    """

    loss: float
    accuracy: float
    probabilities: npt.NDArray[np.float32]


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seeds Python, NumPy and TensorFlow, and forgets what an earlier model left in the process.

    Args:
        seed: of all three.
        deterministic: choose kernels that give the same bits every time; it stays so until the process ends.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def copy_weights(source: keras.Model, target: keras.Model, name: str = "the model") -> keras.Model:
    """The target with the source's weights.

    Raises:
        ModelFileError: the two are not the same network; `name` says in the message what the source is.
    """
    theirs = [tuple(weight.shape) for weight in source.weights]
    ours = [tuple(weight.shape) for weight in target.weights]
    if theirs != ours:
        raise ModelFileError(
            f"the weights of {name} do not fit {target.name}: it has {_shapes(theirs)}, needed are {_shapes(ours)}; "
            "use the same model settings as the run that saved them"
        )
    target.set_weights(source.get_weights())
    for layer in target.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights
    return target


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes[:8]) + (", ..." if len(shapes) > 8 else "")


def fit(
    model: keras.Model,
    dataset: Dataset,
    config: Config,
    observers: Sequence[Observer] = (),
    on_batches: Callable[[int], None] | None = None,
) -> Fit:
    """Trains the compiled model, and leaves it with the weights of the epoch that was best by `training.monitor`.

    Without a validation split there is no monitor: the last weights stay. When training is stopped or fails, the model
    gets the weights that it had at the end of its last whole epoch. A network with a pretrained backbone is trained in
    phases, see `src.fitting.phases`.

    Args:
        model: compiled; trained in place.
        dataset: its `train` split is trained on, its `validation` split scored after each epoch.
        config: `model`, `training`, `optimizer` and `seed` are read.
        observers: called after each epoch with its number, counted from 1, and its metrics; all of them are called, and
            training ends when one returns True.
        on_batches: called now and then within an epoch with the number of batches trained so far.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        NotEnoughMemory: the batches do not fit.
    """
    watch = Watch(observers, on_batches, len(dataset.train), config)
    check_memory(model, min(config.training.batch_size, len(dataset.train)))
    try:
        with deferred(), advice_when_full(config.training.batch_size):
            if isinstance(config.model, TransferConfig):
                return fit_in_phases(model, dataset, config, watch)
            return fit_epochs(model, dataset, config, watch)
    except BaseException:
        if watch.last_weights is not None:
            watch.model.set_weights(watch.last_weights)
        raise


def probabilities(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the model answers to any number of images: float32, (n, classes).

    Args:
        model: any of the networks.
        images: uint8, (n, height, width, channels), 0-255.
    """
    step = scoring_batch(model)
    parts = []
    with deferred():
        for start in range(0, len(images), step):
            parts.append(model.predict_on_batch(images[start : start + step]))
            release()
    return np.concatenate(parts) if parts else np.empty((0, model.output.shape[-1]), np.float32)


def latency(model: keras.Model, repetitions: int = 30) -> float:
    """Seconds from one image to its probabilities, as a compiled function: the median of so many calls."""
    image = tf.zeros((1, *model.input.shape[1:]), tf.uint8)
    answer = tf.function(lambda images: model(images, training=False))
    answer(image)
    seconds = []
    for _ in range(repetitions):
        began = time.perf_counter()
        answer(image)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def score(model: keras.Model, split: Split) -> Scores:
    """Loss, accuracy and probabilities of the split, from one pass over it."""
    batches = scoring_batches(split, scoring_batch(model)).map(lambda images, _: images)
    with deferred():
        probabilities = model.predict(batches, verbose=0, callbacks=[Stoppable()])
    chosen = probabilities[np.arange(len(split)), split.labels].astype(np.float64)
    loss = float(-np.log(np.clip(chosen, keras.config.epsilon(), 1.0)).mean())
    if not math.isfinite(loss):
        raise TrainingDiverged(f"{model.name} answers with {loss}: its training diverged; try a lower learning rate")
    return Scores(loss, float((probabilities.argmax(axis=1) == split.labels).mean()), probabilities)
