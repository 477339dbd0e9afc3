"""The costs of a network: parameters, space and time. Their table is in `src.schema.costs`."""

import statistics
import time
from collections.abc import Collection

import keras
import numpy as np
import tensorflow as tf

from src.schema import COSTS, load_name

CALLS = 50  # timed, after a few that are not
WARM_UP = 5
BYTES_PER_MB = 2**20


def measure_costs(model: keras.Model, names: Collection[str]) -> dict[str, float]:
    """Return the costs of these names, in the order of the table."""
    return {name: float(load_name(cost.measured_by)(model)) for name, cost in COSTS.items() if name in names}


def parameters(model: keras.Model) -> int:
    """Return the number of parameters, including those that are not trained."""
    return int(model.count_params())


def model_mb(model: keras.Model) -> float:
    """Return the size of the weights in MB of 2**20 bytes."""
    sizes = (np.prod(variable.shape, dtype=np.int64) * tf.as_dtype(variable.dtype).size for variable in model.variables)
    return float(sum(sizes)) / BYTES_PER_MB


def latency_ms(model: keras.Model) -> float:
    """Return the median of the CPU time that 50 predictions of one image take, in milliseconds.

    The time is that of all threads of the process together, which is about what one thread takes alone. So it does not
    depend on what other processes do meanwhile.
    """
    predict = tf.function(lambda images: model(images, training=False), jit_compile=False)
    image = tf.zeros((1, *model.input_shape[1:]), model.input_dtype)
    times = []
    for call in range(WARM_UP + CALLS):
        started = time.process_time()
        predict(image).numpy()
        if call >= WARM_UP:
            times.append(time.process_time() - started)
    return 1_000 * statistics.median(times)
