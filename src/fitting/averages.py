"""The moving average of the weights, in the model's place while it is scored and kept."""

from typing import Any

import keras


class AveragedWeights(keras.callbacks.Callback):
    """Gives the model its averaged weights from the validation of an epoch until the next epoch begins.

    So the metrics of the validation split are those of the averages, and the weights kept of an epoch are averages too.
    Keras' `SwapEMAWeights` swaps back before the callbacks that keep weights, and rounds while it swaps.

    Attributes:
        has_averages: True while the model has the averages, and the optimizer the weights that are trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.has_averages = False
        self._averages: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.has_averages:
            self._swap()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        if not self.has_averages:
            self._swap()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not self.has_averages:  # without a validation split
            self._swap()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Give the model the averages again: Keras has just given it what the optimizer has in their place."""
        if self.has_averages:
            for variable, value in zip(self.model.trainable_variables, self._averages, strict=True):
                variable.assign(value)

    def _swap(self) -> None:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)  # of a scaled loss
        averages = optimizer._model_variables_moving_average
        self._averages = [keras.ops.convert_to_numpy(average) for average in averages]
        for variable, average, value in zip(self.model.trainable_variables, averages, self._averages, strict=True):
            average.assign(variable)
            variable.assign(value)
        self.has_averages = not self.has_averages
