"""The costs of a network: what is counted, and that counting changes nothing."""

import math
import random
from functools import partial

import keras
import pytest

from src import fitting
from src.cli.compose import compose_config
from src.inspection import measure_costs, sketch_model
from src.models import build_model
from src.schema import COSTS

SHAPE = (28, 28, 1)


def built(*overrides: str) -> keras.Model:
    return build_model(compose_config(overrides).model, SHAPE, 10)


def test_parameters_and_megabytes_are_those_of_the_weights() -> None:
    assert measure_costs(built("model=dense"), ["model_mb", "parameters"]) == {
        "parameters": 101_770.0,  # see conf/model/dense.yaml
        "model_mb": 101_770 * 4 / 2**20,
    }


@pytest.mark.parametrize("name", ["lenot", "cnn_mnist_v2", "googlenet", "resnet18", "se_resnet18"])
def test_a_sketch_has_the_costs_of_the_network(name: str) -> None:
    counted = [cost for cost, entry in COSTS.items() if not entry.is_time]
    build = partial(built, f"model={name}")
    assert measure_costs(sketch_model(build), counted) == measure_costs(build(), counted)


def test_a_sketch_of_the_largest_network_takes_no_memory() -> None:
    layers = "[1000000,1000000]"  # the weights between them would take 4 TB
    sketch = sketch_model(partial(built, "model=dense", f"model.dense={layers}"))
    assert measure_costs(sketch, ["parameters"])["parameters"] > 1e12


def test_a_sketch_changes_neither_random_numbers_nor_the_names_of_later_layers() -> None:
    def draw() -> tuple[float, list[str], list[float]]:
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        return random.random(), [layer.name for layer in network.layers], network.get_weights()[0].ravel().tolist()

    fitting.seed_everything(7)
    before = draw()
    fitting.seed_everything(7)
    sketch_model(partial(built, "model=lenot"))
    assert draw() == before


def test_latency_is_a_time_above_zero() -> None:
    costs = measure_costs(built("model=lenot"), ["latency_ms"])
    assert math.isfinite(costs["latency_ms"])
    assert costs["latency_ms"] > 0
