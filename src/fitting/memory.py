"""Advice instead of a crash where a network does not fit into the memory."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import psutil
import tensorflow as tf

from src.errors import NotEnoughMemory

FLOAT = 4  # bytes
CGROUP = Path("/sys/fs/cgroup")  # of a container that may use less than the machine has


def check_memory(model: keras.Model, batch_size: int) -> None:
    """Raises NotEnoughMemory when not even the least that training takes is free; a GPU's memory is not looked at."""
    if tf.config.list_physical_devices("GPU"):
        return
    free = free_memory()
    weights, per_image = least_memory(model)
    if weights + batch_size * per_image > free:
        fitting = max(0, (free - weights) // per_image // 2)
        raise NotEnoughMemory(
            f"training {model.name} with batches of {batch_size} takes at least "
            f"{_gigabytes(weights + batch_size * per_image)}, and {_gigabytes(free)} are free; {advice(fitting)}"
        )


def least_memory(model: keras.Model) -> tuple[int, int]:
    """Bytes for the weights and their gradients, and for what the layers that learn keep of each image of a batch."""
    kept = sum(math.prod(layer.output.shape[1:]) for layer in model.layers if layer.trainable_weights)
    learning = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return FLOAT * (model.count_params() + learning), FLOAT * kept


def free_memory() -> int:
    """Bytes that this process may still take."""
    free: int = psutil.virtual_memory().available
    try:
        limit, used, statistics = ((CGROUP / f"memory.{name}").read_text() for name in ("max", "current", "stat"))
    except OSError:
        return free
    if limit.strip() == "max":
        return free
    # Files that were read count as used until somebody needs the memory: decoded images would leave none.
    cached = dict(line.split() for line in statistics.splitlines())["inactive_file"]
    return min(free, int(limit) - int(used) + int(cached))


@contextmanager
def advice_when_full(batch_size: int) -> Iterator[None]:
    """Turns what TensorFlow raises when memory runs out inside the block into a sentence."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise NotEnoughMemory(f"the memory is full; {advice(batch_size // 4)}") from error


def advice(batch_size: int) -> str:
    """What makes a training smaller; the batch is rounded down to a power of two."""
    batches = f"training.batch_size={1 << (batch_size.bit_length() - 1)}, " if batch_size else ""
    return f"try {batches}a smaller model.input_size or dataset.image_size, or another model"


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
