"""Networks without values: they take no memory, and nothing that is built later is another one."""

import random

import keras

from src import fitting
from src.cli.compose import compose_config
from src.models import build_model, sketch_network


def sketched(*overrides: str) -> keras.Model:
    config = compose_config(overrides).model
    return sketch_network(lambda _: build_model(config, (28, 28, 1), 10))


def test_the_largest_network_takes_no_memory() -> None:
    layers = "[1000000,1000000]"  # the weights between them would take 4 TB
    assert sketched("model=dense", f"model.dense={layers}").count_params() > 1e12


def test_neither_random_numbers_nor_the_names_of_later_layers_change() -> None:
    def draw() -> tuple[float, list[str], list[float]]:
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        return random.random(), [layer.name for layer in network.layers], network.get_weights()[0].ravel().tolist()

    fitting.seed_everything(7)
    before = draw()
    fitting.seed_everything(7)
    sketched("model=lenot")
    assert draw() == before
