"""The functions that `fit` calls for each group of batches. TensorFlow traces them in half the time of Keras' own.

Keras does not know how many batches are left. So its loop over a group decides before each batch whether there is one,
and its values are optional. Here the number is known.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

Step = Callable[[Any], Any]


@contextlib.contextmanager
def own_steps(model: keras.Model, batches: tf.data.Dataset, scored: tf.data.Dataset | None) -> Iterator[None]:
    """Give a compiled model, inside, the functions that train and score groups of `steps_per_execution` batches.

    They are for one `fit` on one device. Keras uses the functions that a model already has, and these would leave out
    batches of other data, so the model has none afterwards.

    Args:
        model: compiled.
        batches: to train on; their number is known.
        scored: the validation split, None if there is none.
    """
    model.train_function = Steps(model, model.train_step, batches)
    if scored is not None:
        model.test_function = Steps(model, model.test_step, scored)
    try:
        yield
    finally:
        model.train_function = model.test_function = None


class Steps:
    """Calls a step for the next batches of an iterator, and returns the metrics of the model after them."""

    def __init__(self, model: keras.Model, step: Step, batches: tf.data.Dataset) -> None:
        self.group = model.steps_per_execution
        self.batches = int(batches.cardinality())
        self._run = tf.function(lambda iterator, count: _repeated(model, step, iterator, count), autograph=False)
        self._iterator: object = None
        self._left = 0

    def __call__(self, iterator: Any) -> dict[str, tf.Tensor]:
        if iterator is not self._iterator:  # an epoch begins
            self._iterator, self._left = iterator, self.batches
        count = min(self.group, self._left)
        self._left -= count
        metrics: dict[str, tf.Tensor] = self._run(iterator, tf.constant(count))
        return metrics


def _repeated(model: keras.Model, step: Step, iterator: Any, count: tf.Tensor) -> Any:
    def repeat(done: tf.Tensor) -> tuple[tf.Tensor]:
        step(iterator.get_next())
        return (done + 1,)

    tf.while_loop(lambda done: done < count, repeat, (tf.constant(0),), parallel_iterations=1)
    return model.get_metrics_result()
