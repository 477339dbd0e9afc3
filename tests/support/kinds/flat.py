"""A family of networks that the project does not have."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from src.schema import ModelConfig


@dataclass(kw_only=True)
class FlatConfig(ModelConfig, kind="flat", builds=f"{__name__}:build_flat"):
    units: int = 3


def build_flat(config: FlatConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(config.units)]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, activation="softmax")], name=config.name)
