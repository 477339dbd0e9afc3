"""The costs of a network: what is counted, and what is timed."""

import math
from functools import partial

import keras
import pytest

from src.cli.compose import compose_config
from src.inspection import measure_costs
from src.models import build_model, sketch_network
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
    assert measure_costs(sketch_network(lambda _: build()), counted) == measure_costs(build(), counted)


def test_latency_is_a_time_above_zero() -> None:
    costs = measure_costs(built("model=lenot"), ["latency_ms"])
    assert math.isfinite(costs["latency_ms"])
    assert costs["latency_ms"] > 0
