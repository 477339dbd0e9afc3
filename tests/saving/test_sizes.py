"""The memory that a model needs is known before anything is allocated, and computing it leaves nothing behind."""

import random

import keras
import pytest

from src.saving.sizes import bytes_needed


def network(*layers: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), *layers])


NETWORKS = {
    "weights": lambda: network(keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(5)),
    "moving averages": lambda: network(keras.layers.BatchNormalization()),
    "seeds": lambda: network(keras.layers.RandomFlip(), keras.layers.Dropout(0.5)),
    "mixed precision": lambda: network(keras.layers.Conv2D(4, 3, dtype="mixed_bfloat16")),
    "half precision": lambda: network(keras.layers.Conv2D(4, 3, dtype="float16")),
    "a model as a layer": lambda: network(network(keras.layers.Conv2D(4, 3)), keras.layers.Conv2D(2, 1)),
}


def bytes_taken(model: keras.Model) -> int:
    return sum(variable.numpy().nbytes for variable in model.variables)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_bytes_needed_are_those_of_the_variables(name: str) -> None:
    model = NETWORKS[name]()
    assert bytes_needed(model.to_json()) == bytes_taken(model)


def test_constants_that_a_layer_makes_are_counted_too() -> None:
    normalization = keras.layers.Normalization(mean=[1, 2, 3], variance=[1, 2, 3])
    assert bytes_needed(network(normalization).to_json()) >= 2 * 3 * 4


def test_neither_names_nor_random_numbers_nor_variables_are_left_behind() -> None:
    text = network(keras.layers.Dense(2)).to_json()
    large = text.replace('"units": 2', '"units": 10000000000000')
    first, before = keras.layers.Dense(1).name, random.getstate()
    assert bytes_needed(large) == 4 * (3 + 1) * 10**13
    assert random.getstate() == before
    assert keras.layers.Dense(1).name == f"dense_{int(first.partition('_')[2] or 0) + 1}"
    network(keras.layers.Dense(2))  # would allocate variables that were left without values
