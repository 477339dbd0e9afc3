"""The layer table: its numbers are those of Keras, and its formulas give them."""

import functools
import math
from typing import Any

import keras
import numpy as np
import pytest

from src.cli.compose import CONF, compose_config
from src.models import build_model
from src.models.arithmetic import LAYER_COLUMNS, LayerRow, layer_table

SIDES = (96, 80)  # large enough for any network, and not a square
WITH_FORMULA = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense", "BatchNormalization"}
WITH_SIZE = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D", "ZeroPadding2D"}
EVERY_OPTION = (  # those that no file of conf/model uses
    "model=lenot model.input_size=50 model.conv.0.strides=3 model.conv.0.batch_norm=true model.conv.0.padding=same "
    "model.conv.1.pool_size=3 model.conv.1.strides=2"
)
SEPARABLE = "model=transfer model.backbone=Xception"
NETWORKS = {path.stem: f"model={path.stem}" for path in sorted(CONF.glob("model/*.yaml"))}
NETWORKS |= {"options": EVERY_OPTION, "separable": SEPARABLE}
EVERY_NETWORK = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def built(name: str) -> tuple[keras.Model, list[LayerRow]]:
    images = ["dataset=synthetic", f"dataset.image_size={list(SIDES)}", "dataset.channels=3"]
    config = compose_config([*NETWORKS[name].split(), *images])
    model = build_model(config.model, config.dataset.input_shape, config.dataset.num_classes)
    return model, layer_table(model)


def worked_out(formula: str) -> Any:
    return eval(formula.replace("x", "*"), {"floor": math.floor, "ceil": math.ceil})


@EVERY_NETWORK
def test_every_layer_has_its_row_with_keras_output_and_parameters(name: str) -> None:
    model, rows = built(name)
    reported = [(layer.name, (None, *layer.output.shape[1:]), layer.count_params()) for layer in model.layers]
    assert [(row.name, (None, *row.output_shape), row.parameters) for row in rows] == reported


@EVERY_NETWORK
def test_the_parameters_add_up_to_those_of_the_model(name: str) -> None:
    model, rows = built(name)
    assert sum(row.parameters for row in rows) == model.count_params()


@EVERY_NETWORK
def test_a_parameter_formula_gives_the_parameters(name: str) -> None:
    formulas = [(row.parameter_formula, row.parameters) for row in built(name)[1] if row.kind in WITH_FORMULA]
    assert [worked_out(formula) for formula, _ in formulas] == [parameters for _, parameters in formulas]


@EVERY_NETWORK
def test_a_size_formula_gives_one_side_of_the_output(name: str) -> None:
    for row in built(name)[1]:
        if row.kind in WITH_SIZE:
            formula, _, result = row.size_formula.rpartition(" = ")
            assert worked_out(formula) == int(result) == row.output_shape[0]


@EVERY_NETWORK
def test_activations_are_the_values_in_the_output_for_one_image(name: str) -> None:
    model, rows = built(name)
    outputs = keras.Model(model.input, [layer.output for layer in model.layers])(np.zeros((1, *SIDES, 3), np.uint8))
    assert [row.activations for row in rows] == [np.size(output) for output in outputs]


@pytest.mark.parametrize(
    ("kind", "size", "parameters"),
    [
        ("ZeroPadding2D", "96 + 2 + 2 = 100", ""),
        ("Conv2D", "floor((100 - 5) / 1) + 1 = 96", "(5x5x3 + 1) x 6"),
        ("MaxPooling2D", "floor((96 - 2) / 2) + 1 = 48", ""),
        ("Flatten", "", ""),
        ("Dense", "", "(6336 + 1) x 120"),
    ],
)
def test_a_formula_shows_the_numbers_that_go_in(kind: str, size: str, parameters: str) -> None:
    first = next(row for row in built("lenot")[1] if row.kind == kind)
    assert (first.size_formula, first.parameter_formula) == (size, parameters)


@pytest.mark.parametrize(
    ("layer", "size", "parameters"),
    [
        ("conv_0", "ceil(54 / 3) = 18", "5x5x3 x 6"),
        ("batch_norm_0", "", "4 x 6"),
    ],
)
def test_same_padding_strides_and_batch_normalization_have_their_own_formulas(
    layer: str, size: str, parameters: str
) -> None:
    row = next(row for row in built("options")[1] if row.name == layer)
    assert (row.size_formula, row.parameter_formula) == (size, parameters)


def test_a_row_as_text_has_a_cell_for_each_column() -> None:
    row = LayerRow("conv_0", "Conv2D", (28, 28, 6), "floor((32 - 5) / 1) + 1 = 28", 1_560, "(5x5x1 + 1) x 60", 4_704)
    assert dict(zip(LAYER_COLUMNS, row.cells(), strict=True)) == {
        "layer": "conv_0",
        "kind": "Conv2D",
        "output": "28x28x6",
        "output size": "floor((32 - 5) / 1) + 1 = 28",
        "parameters": "1,560",
        "parameter formula": "(5x5x1 + 1) x 60",
        "activations": "4,704",
    }
