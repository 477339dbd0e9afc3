"""The arithmetic of a network's layers: formulas for the output size and the number of parameters of each layer.

A convolution or pooling with window f and stride s turns a side of n pixels into floor((n - f) / s) + 1, or with `same`
padding into ceil(n / s). A convolution has (f x f x channels + 1) x filters parameters, and a dense layer
(inputs + 1) x units. The 1 is the bias.
"""

import math
from typing import NamedTuple

import keras
from keras import layers

from src.schema import output_size

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
LAYER_COLUMNS = ("layer", "kind", "output", "output size", "parameters", "parameter formula", "activations")


class LayerRow(NamedTuple):
    """The arithmetic of one layer.

    Attributes:
        name: the layer's name.
        kind: its Keras class.
        output_shape: height, width and channels, or the length of a vector.
        size_formula: a formula for one side of the output, empty when it is as long as that of the input.
        parameters: number of parameters, including moving statistics.
        parameter_formula: the same as a formula with its numbers, empty when there are no parameters.
        activations: number of values in the output for one image.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    size_formula: str
    parameters: int
    parameter_formula: str
    activations: int

    def cells(self) -> tuple[str, ...]:
        """Return the row as strings, in the order of `LAYER_COLUMNS`."""
        shape = "x".join(map(str, self.output_shape))
        numbers = f"{self.parameters:,}", self.parameter_formula, f"{self.activations:,}"
        return (self.name, self.kind, shape, self.size_formula, *numbers)


def layer_table(model: keras.Model) -> list[LayerRow]:
    """Return a row for each layer, in the model's order. The sum of the parameters is `model.count_params()`."""
    return [_row(layer) for layer in model.layers]


def multiply_adds(model: keras.Model) -> int:
    """Estimate the multiplications of the network for one image: each parameter, once for each pixel of its output."""
    return sum(
        multiply_adds(layer)
        if isinstance(layer, keras.Model)
        else layer.count_params() * math.prod(layer.output.shape[1:-1])
        for layer in model.layers
        if not isinstance(layer.output, list)  # it divides batches and computes nothing
    )


def _row(layer: keras.layers.Layer) -> LayerRow:
    shape = tuple(layer.output.shape[1:])
    parameters, formula = _parameters(layer)
    return LayerRow(layer.name, type(layer).__name__, shape, _size(layer), parameters, formula, math.prod(shape))


def _size(layer: keras.layers.Layer) -> str:
    if isinstance(layer, layers.ZeroPadding2D):
        before, after = layer.padding[0]
        return f"{layer.input.shape[1]} + {before} + {after} = {layer.output.shape[1]}"
    if isinstance(layer, CONVOLUTIONS):
        window = layer.kernel_size[0]
    elif isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        window = layer.pool_size[0]
    else:
        return ""
    side, strides = layer.input.shape[1], layer.strides[0]
    result = output_size(side, window, strides, layer.padding)
    if layer.padding == "same":
        return f"ceil({side} / {strides}) = {result}"
    return f"floor(({side} - {window}) / {strides}) + 1 = {result}"


def _parameters(layer: keras.layers.Layer) -> tuple[int, str]:
    """Return the number of parameters, computed from the layer's settings, and the formula with its numbers."""
    if isinstance(layer, layers.Conv2D):
        (rows, columns), channels = layer.kernel_size, layer.input.shape[-1] // layer.groups
        return _weighted(rows * columns * channels, f"{rows}x{columns}x{channels}", layer.filters, layer.use_bias)
    if isinstance(layer, layers.DepthwiseConv2D):
        (rows, columns), channels = layer.kernel_size, layer.output.shape[-1]
        return _weighted(rows * columns, f"{rows}x{columns}", channels, layer.use_bias)
    if isinstance(layer, layers.SeparableConv2D):
        (rows, columns), channels = layer.kernel_size, layer.input.shape[-1] * layer.depth_multiplier
        pointwise, formula = _weighted(channels, str(channels), layer.filters, layer.use_bias)
        return rows * columns * channels + pointwise, f"{rows}x{columns} x {channels} + {formula}"
    if isinstance(layer, layers.Dense):
        inputs = layer.input.shape[-1]
        return _weighted(inputs, str(inputs), layer.units, layer.use_bias)
    if isinstance(layer, layers.BatchNormalization):
        vectors, channels = 2 + layer.center + layer.scale, layer.input.shape[layer.axis]
        return vectors * channels, f"{vectors} x {channels}"
    return layer.count_params(), ""


def _weighted(inputs: int, shown: str, units: int, bias: bool) -> tuple[int, str]:
    if bias:
        return (inputs + 1) * units, f"({shown} + 1) x {units}"
    return inputs * units, f"{shown} x {units}"
