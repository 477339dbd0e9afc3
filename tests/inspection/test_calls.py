"""Calls of layers, in the order in which a network computes."""

import numpy as np

from src.inspection.calls import leaf_layers, observed_calls
from tests.support.networks import SIDE, nested_network

IMAGES = np.zeros((1, SIDE, SIDE, 1), np.uint8)


def test_every_layer_that_is_not_a_model_is_called_once_with_the_names_of_the_models_around_it() -> None:
    model = nested_network()
    calls: list[str] = []
    with observed_calls(model, lambda call: calls.append(call.name)):
        model(IMAGES)
    inputs = {name for name, layer in leaf_layers(model) if type(layer).__name__ == "InputLayer"}
    assert sorted(calls) == sorted(name for name, _ in leaf_layers(model) if name not in inputs)
    assert "backbone/block/conv" in calls


def test_nothing_is_reported_after_the_block() -> None:
    model = nested_network()
    calls: list[str] = []
    with observed_calls(model, lambda call: calls.append(call.name)):
        pass
    model(IMAGES)
    assert calls == []
