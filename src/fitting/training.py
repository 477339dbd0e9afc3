"""Training and scoring with Keras: seeds, weights, a fit that observers can watch and stop, scores."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import psutil
import tensorflow as tf

from src.checkpointing import Checkpoints
from src.datasets import Dataset, Split
from src.errors import ModelFileError, TrainingDiverged
from src.fitting.batches import image_batches, scoring_batch
from src.fitting.epochs import Fit, fit_epochs
from src.fitting.memory import check_memory, explain_out_of_memory
from src.fitting.metrics import metrics_of
from src.fitting.phases import fit_in_phases
from src.fitting.watch import Observer, Stoppable, Watch
from src.process.interrupt import deferred, release
from src.process.timing import median_seconds
from src.schema import LOSS, TEST, Config, LossConfig, TransferConfig, recorded_metrics

MAX_GARBAGE = 64 * 2**20  # bytes that a process grows by before it looks for what earlier models left

_looked_at = 0  # bytes that the process had when it last looked


class Scores(NamedTuple):
    """The result of scoring a split.

    Attributes:
        metrics: those of the table that probabilities give, such as `loss` and `accuracy`.
        probabilities: float32, (n, classes), in the order of the split.
    """

    metrics: dict[str, float]
    probabilities: npt.NDArray[np.float32]

    @property
    def test_metrics(self) -> dict[str, float]:
        """The metrics as those of the test split: `test_loss`, `test_accuracy`."""
        return {TEST + name: value for name, value in self.metrics.items()}


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seed Python, NumPy and TensorFlow, and free what earlier models left in the process if that may be much.

    Args:
        seed: for all three.
        deterministic: use kernels that give the same bits every time, until the process ends.
    """
    keras.utils.clear_session(free_memory=_has_grown())
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def _has_grown() -> bool:
    """Return whether the process has grown enough to hold earlier models.

    Only the garbage collector frees them. It looks at every object of the process, which takes longer than building
    LeNot.
    """
    global _looked_at
    used = psutil.Process().memory_info().rss
    if used - _looked_at < MAX_GARBAGE:
        return False
    _looked_at = used
    return True


def copy_weights(source: keras.Model, target: keras.Model, name: str = "the model") -> keras.Model:
    """Copy the source's weights into the target, and return the target.

    Raises:
        ModelFileError: the two are not the same network; the message calls the source `name`.
    """
    given = [tuple(weight.shape) for weight in source.weights]
    expected = [tuple(weight.shape) for weight in target.weights]
    if given != expected:
        raise ModelFileError(
            f"the weights of {name} do not fit {target.name}: got {_shapes(given)}, expected {_shapes(expected)}; "
            "use the same model settings as the run that saved them"
        )
    target.set_weights(source.get_weights())
    for layer in target.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # the layer computes with copies of its weights
    return target


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes[:8]) + (", ..." if len(shapes) > 8 else "")


def fit(
    model: keras.Model,
    dataset: Dataset,
    config: Config,
    observers: Sequence[Observer] = (),
    on_batches: Callable[[int], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Fit:
    """Train the compiled model. It ends with the weights of the epoch that was best by `training.monitor`.

    Without a validation split there is no monitor, and it ends with the last weights. If training is interrupted or
    fails, the model gets the weights of its last complete epoch. A network with a pretrained backbone is trained in
    phases, see `src.fitting.phases`.

    Args:
        model: compiled; trained in place.
        dataset: its `train` split is for training; its `validation` split is scored after each epoch.
        config: `model`, `training`, `optimizer` and `seed` are read.
        observers: called in order after each epoch with its number, counted from 1, and its metrics. Training ends
            when one of them returns True.
        on_batches: called within an epoch with the number of batches trained so far.
        checkpoints: get the state after each epoch. If they have one to continue from, training begins after its epoch,
            and `model` gets its state.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        CheckpointError: the checkpoint to continue from is of another network or optimizer.
        NotEnoughMemory: the batches do not fit into memory.
    """
    watch = Watch(model, observers, on_batches, len(dataset.train), config, checkpoints)
    check_memory(model, min(config.training.batch_size, len(dataset.train)))
    try:
        with deferred(), explain_out_of_memory(config.training.batch_size):
            if isinstance(config.model, TransferConfig):
                return fit_in_phases(model, dataset, config, watch)
            return fit_epochs(model, dataset, config, watch)
    except BaseException:
        if watch.last_weights is not None:
            watch.model.set_weights(watch.last_weights)
        raise


def probabilities(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the model's probabilities for any number of images: float32, (n, classes).

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


def latency(model: keras.Model, batch: int = 1) -> float:
    """Return the seconds that the CPU takes for a batch of images in a compiled function: the median of 30 calls."""
    with tf.device("CPU"):
        if tf.config.list_physical_devices("GPU"):  # weights on a GPU would be copied in each call
            model = copy_weights(model, keras.models.clone_model(model))
        images = tf.zeros((batch, *model.input.shape[1:]), tf.uint8)
        predict = tf.function(lambda pixels: model(pixels, training=False))
        return median_seconds(lambda: predict(images).numpy())


def score(model: keras.Model, split: Split, loss: LossConfig, names: Collection[str] = ()) -> Scores:
    """Return metrics and probabilities of the split, computed in one pass through it.

    Args:
        model: any of the networks.
        split: images and labels.
        loss: the one that the model was trained with.
        names: of metrics to compute besides those of every run.

    Raises:
        TrainingDiverged: the loss is not a finite number.
    """
    batches = image_batches(split, scoring_batch(model))
    with deferred():
        probabilities = model.predict(batches, verbose=0, callbacks=[Stoppable()])
    metrics = metrics_of(split.labels, probabilities, loss, recorded_metrics(names))
    test_loss = metrics[LOSS]
    if not math.isfinite(test_loss):
        raise TrainingDiverged(
            f"the test loss of {model.name} is {test_loss}: its training diverged; try a lower optimizer.learning_rate"
        )
    return Scores(metrics, probabilities)
