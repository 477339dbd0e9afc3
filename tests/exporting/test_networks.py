"""Every network that can be trained can be exported, and each file computes what the network computes."""

import pytest

from src.schema import EXPORTS
from tests.support.export_table import NETWORKS, differences
from tests.support.exports import need

TOLERANCES = {"onnx": 1e-4, "litert": 1e-4, "litert_int8": 0.1}


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_with_untrained_weights_gives_nearly_the_same_probabilities_in_every_format(network: str):
    need(*EXPORTS)
    found = differences(network)
    too_large = {name: value for name, value in found.items() if isinstance(value, str) or value > TOLERANCES[name]}
    assert not too_large
