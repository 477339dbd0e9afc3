"""A sentence instead of a crash if a network does not fit into memory."""

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
    """Raise NotEnoughMemory if less is free than training needs at least. The memory of a GPU is not checked."""
    if tf.config.list_physical_devices("GPU"):
        return
    free = free_memory()
    weights, per_image = min_memory(model)
    if weights + batch_size * per_image > free:
        possible = max(0, (free - weights) // per_image // 2)  # half of what fits, since training takes more than this
        raise NotEnoughMemory(
            f"training {model.name} with batches of {batch_size} needs at least "
            f"{_gigabytes(weights + batch_size * per_image)} of memory, but only {_gigabytes(free)} are free; "
            f"{suggest_smaller(possible)}"
        )


def min_memory(model: keras.Model) -> tuple[int, int]:
    """Return the bytes for weights and gradients, and those for each image of a batch in the layers that learn."""
    kept = sum(math.prod(layer.output.shape[1:]) for layer in model.layers if layer.trainable_weights)
    learning = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return FLOAT * (model.count_params() + learning), FLOAT * kept


def free_memory() -> int:
    """Return how many bytes this process may still allocate."""
    free: int = psutil.virtual_memory().available
    try:
        limit, used, statistics = ((CGROUP / f"memory.{name}").read_text() for name in ("max", "current", "stat"))
    except OSError:
        return free
    if limit.strip() == "max":
        return free
    # Cached files count as used although they are dropped on demand; with decoded images nothing would seem free.
    cached = dict(line.split() for line in statistics.splitlines())["inactive_file"]
    return min(free, int(limit) - int(used) + int(cached))


@contextmanager
def explain_out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn the errors of a process that is out of memory inside the block into NotEnoughMemory."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise NotEnoughMemory(f"out of memory; {suggest_smaller(batch_size // 4)}") from error


def suggest_smaller(batch_size: int) -> str:
    """Return settings that make a training smaller; the batch size is rounded down to a power of two."""
    batches = f"training.batch_size={1 << (batch_size.bit_length() - 1)}, " if batch_size else ""
    return f"try {batches}a smaller model.input_size or dataset.image_size, or another model"


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
