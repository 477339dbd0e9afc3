"""Which values a network may have, and which network fits which image."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import ConfigError
from src.schema.model import ConvBlock, ModelConfig
from tests.support.configs import (
    DEEP,
    NAN,
    TOO_SMALL,
    Ranges,
    network,
    range_tests,
)


def one_block(**changes: Any) -> Any:
    return network(conv=[ConvBlock(**{"filters": 4} | changes)])


@dataclass(kw_only=True)
class OtherConfig(ModelConfig):
    """A model with nothing but what all models have."""

    family: str = "other"
    kind: ClassVar[str] = "other"


def any_model(name: str = "net") -> ModelConfig:
    return OtherConfig(name=name)


ACTIVATIONS = ["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "leaky_relu"]
RANGES: Ranges = [
    (any_model, "model.name", ["lenet5", "A-b_c", "-", "models"], ["", "le net", "a/b", "a.b", "net\n", "model"]),
    (network, "model.name", ["lenet5"], ["model"]),
    (network, "model.input_size", [None, 1], [0, -28]),
    (network, "model.input_padding", [0], [-1]),
    (network, "model.dense", [[], [1]], []),
    (network, "model.dropout", [0.0, 0.99], [1.0, 1.5, -0.1, NAN]),
    (network, "model.activation", ACTIVATIONS, ["rellu", ""]),
    (one_block, "model.conv.0.filters model.conv.0.kernel_size", [1], [0, -6]),
    (one_block, "model.conv.0.strides model.conv.0.pool_size", [1], [0, -1]),
    (one_block, "model.conv.0.padding", ["valid", "same"], ["full"]),
    (one_block, "model.conv.0.pool", [None, "max", "average"], ["mean"]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"dense": [120, 0]}, r"^model\.dense\.1: got 0, expected at least 1$"),
    ({"conv": [*DEEP, ConvBlock(filters=0)]}, r"^model\.conv\.2\.filters: got 0, expected at least 1$"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_a_layer_that_makes_no_sense_is_refused_by_its_place(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        network(**changes)


# --- which network fits which image -------------------------------------------------------------------------------

SIDES, STEPS = st.integers(1, 40), st.integers(1, 8)


@given(height=SIDES, width=SIDES, strides=STEPS, key=st.sampled_from(["kernel_size", "pool_size"]))
def test_the_largest_window_that_a_refusal_names_fits_and_one_more_does_not(
    height: int, width: int, strides: int, key: str
) -> None:
    def try_with(window: int) -> None:
        pool = "max" if key == "pool_size" else None
        one_block(**{"kernel_size": 1, "strides": strides, "pool": pool, key: window}).check_input(height, width)

    with pytest.raises(ConfigError, match=rf"model\.conv\.0\.{key}: 41 .* use at most \d+, ") as refusal:
        try_with(41)
    most = int(re.findall(r"at most (\d+)", str(refusal.value))[0])
    assert most == len(range(0, min(height, width), strides if key == "pool_size" else 1))
    try_with(most)
    with pytest.raises(ConfigError):
        try_with(most + 1)


@pytest.mark.parametrize(("image_size", "sentence"), TOO_SMALL)
def test_a_refusal_names_the_block_its_map_and_the_remedy(image_size: list[int], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}.* or a larger model.input_size$"):
        network(conv=DEEP).check_input(*image_size)


@pytest.mark.parametrize("remedy", [{"input_padding": 1}, {"input_size": 16}])
def test_padding_and_resizing_come_before_the_first_block(remedy: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        network(conv=DEEP).check_input(14, 14)
    network(conv=DEEP, **remedy).check_input(14, 14)


def test_padding_is_added_to_the_resized_image() -> None:
    network(conv=DEEP, input_size=14, input_padding=1).check_input(14, 14)


NOT_ENOUGH: list[tuple[dict[str, int], int, int]] = [
    ({"input_size": 14}, 28, 28),
    ({"input_padding": 1}, 13, 28),
    ({"input_padding": 1}, 28, 13),
]


@pytest.mark.parametrize(("remedy", "height", "width"), NOT_ENOUGH)
def test_padding_or_resizing_to_less_than_the_network_needs_is_refused(
    remedy: dict[str, int], height: int, width: int
) -> None:
    with pytest.raises(ConfigError):
        network(conv=DEEP, **remedy).check_input(height, width)


def test_a_same_padded_kernel_may_be_larger_than_its_map() -> None:
    one_block(kernel_size=7, padding="same").check_input(2, 2)


def test_a_pool_size_without_a_pool_is_not_held_against_the_map() -> None:
    one_block(kernel_size=1, pool=None, pool_size=7).check_input(2, 2)


@pytest.mark.parametrize("config", [any_model(), network()])
def test_a_model_without_convolutions_takes_an_image_of_one_pixel(config: ModelConfig) -> None:
    config.check_input(1, 1)
