"""Small networks to look into: plain ones, and one with models as layers."""

from typing import Any

import keras
from keras import layers

from src.models.sequential import build_sequential
from src.schema import ConvBlock, SequentialConfig

SIDE = 12


def network(*blocks: ConvBlock, channels: int = 1) -> keras.Model:
    config = SequentialConfig(name="net", family="sequential", conv=list(blocks), dense=[16])
    keras.utils.set_random_seed(0)  # chance may leave every hidden unit dead
    return build_sequential(config, (SIDE, SIDE, channels), 3)


def nested_network() -> keras.Model:
    """A frozen backbone as a layer, with a block as a layer in it: seq/conv, backbone/block/conv, backbone/last."""
    features = keras.Input((None, None, 4))
    maps = layers.DepthwiseConv2D(3, padding="same", name="conv")(features)
    block = keras.Model(features, layers.Add()([maps, features]), name="block")
    images = keras.Input((SIDE, SIDE, 4))
    maps = layers.SeparableConv2D(5, 3, strides=2, name="last")(block(images))
    backbone = keras.Model(images, layers.ReLU(name="relu")(maps), name="backbone")
    backbone.trainable = False

    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    features = layers.Rescaling(1 / 255)(pixels)
    features = keras.Sequential([layers.Conv2D(4, 1, name="conv")], name="seq")(features)
    features = layers.GlobalAveragePooling2D()(backbone(features, training=False))
    return keras.Model(pixels, layers.Dense(3, activation="softmax")(features), name="nested")


class Recorder(layers.Layer):
    """A layer that changes nothing, and keeps how many images each of its calls had."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def call(self, inputs: Any) -> Any:
        if inputs.shape[0] is not None:
            self.counts.append(inputs.shape[0])
        return inputs
