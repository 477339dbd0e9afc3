"""Every network that can be trained can be exported to every format."""

import pytest

from src.schema import EXPORTS
from tests.support.export_table import CONVERTED, NETWORKS, documented, outcomes
from tests.support.exports import need

TOLERANCE = 1e-3  # of a probability; rounding errors are larger with random weights than with trained ones


def test_the_table_in_the_documents_has_every_network() -> None:
    assert list(documented()) == NETWORKS


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_converted_and_its_float32_files_compute_the_same(network: str) -> None:
    need(*EXPORTS)
    found = outcomes(network)
    assert {name: value for name, value in found.items() if isinstance(value, str)} == {"litert_int8": CONVERTED}
    assert {name: value for name, value in found.items() if isinstance(value, float) and value > TOLERANCE} == {}
