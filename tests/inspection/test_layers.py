"""The layers that can be looked into, by name."""

import pytest

from src.errors import ConfigError
from src.inspection import find_layers, map_layers
from src.schema import ConvBlock
from tests.support.networks import nested_network, network


def test_layers_that_return_maps_are_listed_in_order_with_the_size_of_their_maps() -> None:
    found = map_layers(network(ConvBlock(filters=2, kernel_size=3, pool="max")))
    assert [(layer.name, layer.shape, layer.is_convolution) for layer in found] == [
        ("rescale", (12, 12, 1), False),
        ("conv_0", (10, 10, 2), True),
        ("pool_0", (5, 5, 2), False),
    ]


def test_layers_of_inner_models_are_found_by_the_names_of_their_models() -> None:
    (found,) = find_layers(nested_network(), ["backbone/block/conv"])
    assert (found.name, found.is_convolution) == ("backbone/block/conv", True)


def test_a_layer_that_does_not_exist_is_named_with_the_nearest_one_and_all_others() -> None:
    with pytest.raises(ConfigError) as raised:
        find_layers(network(ConvBlock(filters=2)), ["conv_0", "pol_0"])
    assert str(raised.value).startswith("layers: net has no layer 'pol_0' that returns maps; ")
    assert "known: rescale" in str(raised.value)
    assert "conv_0" in str(raised.value)
