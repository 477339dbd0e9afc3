"""The costs of a network: parameters, space and time. Their table is in `src.schema.costs`."""

import statistics
import time
from collections.abc import Callable, Collection

import keras
import numpy as np
import tensorflow as tf

from src.schema import COSTS, load_name

CALLS = 50  # timed, after a few that are not
WARM_UP = 5
ROUNDS = 5  # of calls, as long as they take less than a second together
PAUSE = 0.1  # seconds between two rounds: 50 calls of a small network take less than what disturbs them
BYTES_PER_MB = 2**20


def measure_costs(model: keras.Model, names: Collection[str]) -> dict[str, float]:
    """Return the costs with these names, in the order of the table."""
    return {name: float(load_name(cost.measured_by)(model)) for name, cost in COSTS.items() if name in names}


def measure_new(build: Callable[[], keras.Model], names: Collection[str]) -> dict[str, float]:
    """Return the costs of a network that is built only for this; the memory of the one before it is freed."""
    keras.utils.clear_session()
    return measure_costs(build(), names)


def parameters(model: keras.Model) -> int:
    """Return the number of parameters, including those that are not trained."""
    return int(model.count_params())


def model_mb(model: keras.Model) -> float:
    """Return the size of the weights in MB of 2**20 bytes."""
    sizes = (np.prod(weight.shape, dtype=np.int64) * tf.as_dtype(weight.dtype).size for weight in model.weights)
    return float(sum(sizes)) / BYTES_PER_MB


def latency_ms(model: keras.Model) -> float:
    """Return the CPU time that a prediction of one image takes, in milliseconds: the median of 50 calls.

    It is the smallest of up to five such medians, because other processes can only make one larger.

    The time is that of all threads of the process. It is what one thread takes if TensorFlow has one: threads that wait
    for work take CPU time too, several times as much as a small network. So `src.sweep.meter` calls it in a process of
    its own. CPU time does not grow while the process waits for a busy core.
    """
    predict = tf.function(lambda images: model(images, training=False), jit_compile=False)
    image = tf.zeros((1, *model.input_shape[1:]), model.input_dtype)
    medians: list[float] = []
    began = time.process_time()
    while not medians or (len(medians) < ROUNDS and time.process_time() - began < 1):
        if medians:
            time.sleep(PAUSE)
        times = [_timed(lambda: predict(image).numpy()) for _ in range(WARM_UP + CALLS)]
        medians.append(statistics.median(times[WARM_UP:]))
    return round(1_000 * min(medians), 4)  # of a clock that counts microseconds


def _timed(call: Callable[[], object]) -> float:
    """Return the seconds of CPU time that a call takes."""
    started = time.process_time()
    call()
    return time.process_time() - started
