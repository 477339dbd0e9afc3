"""A loss that neither the project nor Keras has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from src.schema import LossConfig


@dataclass(kw_only=True)
class DistanceConfig(LossConfig, kind="distance", builds=f"{__name__}:Distance"):
    power: float = 1.0


class Distance(keras.losses.Loss):
    """The distance of the right class's probability from 1, to a power."""

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def call(self, labels: Any, probabilities: Any) -> Any:
        right = keras.ops.one_hot(keras.ops.cast(labels, "int32"), probabilities.shape[-1])
        return (1 - keras.ops.sum(right * probabilities, axis=-1)) ** self.power
