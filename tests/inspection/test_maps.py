"""A look inside a network, as numbers."""

import keras
import numpy as np

from src.inspection import first_filters
from src.models.sequential import build_sequential
from src.schema import ConvBlock, SequentialConfig


def network(*blocks: ConvBlock, channels: int = 1) -> keras.Model:
    config = SequentialConfig(name="net", family="sequential", conv=list(blocks), dense=[4])
    return build_sequential(config, (12, 12, channels), 3)


def test_the_filters_of_the_first_convolution_come_one_by_one() -> None:
    model = network(ConvBlock(filters=6, kernel_size=5), ConvBlock(filters=7, kernel_size=3), channels=3)
    kernel = model.get_layer("conv_0").kernel.numpy()  # (height, width, channels, filters)
    filters = first_filters(model)
    assert filters is not None
    assert (filters.shape, filters.dtype.name) == ((6, 5, 5, 3), "float32")
    np.testing.assert_equal(filters, np.stack([kernel[..., index] for index in range(6)]))


def test_a_network_without_a_convolution_has_no_filters() -> None:
    assert first_filters(network()) is None
