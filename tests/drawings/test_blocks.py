"""Flowcharts of blocks, and those in the documents."""

import re

import keras
import pytest
from keras import layers

from docs.drawings.blocks import Block, Box, block_graph, mermaid
from src.cli.compose import compose_config
from src.schema import REGISTRY
from tests.models.test_models import built
from tests.support.workplace import ROOT

CHART = re.compile(r"<!-- model=(\w+) block=(\w*) -->\n```mermaid\n(.*?)\n```", re.DOTALL)
CHARTS = CHART.findall((ROOT / "docs" / "models.md").read_text())


def test_a_block_has_a_box_for_each_layer_and_folds_what_follows_it_alone() -> None:
    inputs = keras.Input((8, 8, 2), name="in")
    one = layers.Conv2D(4, 3, padding="same", strides=2, name="block_conv")(inputs)
    one = layers.BatchNormalization(name="block_bn")(one)
    one = layers.Activation("relu", name="block_relu")(one)
    two = layers.MaxPooling2D(2, name="block_pool")(inputs)
    merged = layers.Concatenate(name="block")([one, two])
    model = keras.Model(inputs, layers.Dense(3, name="after")(merged))
    assert block_graph(model, "block") == Block(
        boxes=[
            Box("input", "", "8x8x2"),
            Box("conv 3x3/2, 4", "batch norm, relu", "4x4x4"),
            Box("max pool 2x2/2", "", "4x4x2"),
            Box("concatenate", "", "4x4x6"),
        ],
        edges=[(0, 1), (0, 2), (1, 3), (2, 3)],
    )


def test_a_flowchart_names_every_box_and_draws_every_edge() -> None:
    block = Block([Box("input", "", "4x4x2"), Box("conv 1x1, 3", "relu", "4x4x3")], [(0, 1)])
    assert mermaid(block).splitlines() == [
        "flowchart TD",
        '    n0["input<br/>4x4x2"]',
        '    n1["conv 1x1, 3<br/>relu<br/>4x4x3"]',
        "    n0 --> n1",
    ]


@pytest.mark.parametrize(("name", "block", "chart"), CHARTS, ids=[f"{name}-{block}" for name, block, _ in CHARTS])
def test_a_flowchart_in_the_documents_shows_the_network(name: str, block: str, chart: str) -> None:
    assert chart == mermaid(block_graph(built(name), block))


def test_every_family_apart_from_transfer_has_a_flowchart() -> None:
    shown = {compose_config([f"model={name}", "dataset.image_size=[512,512]"]).model.family for name, _, _ in CHARTS}
    assert shown == set(REGISTRY["model"].kinds) - {"transfer"}
