"""GoogLeNet, the first Inception network."""

from typing import NamedTuple

import keras
from keras import layers

from src.models.layers import classifier, conv_bn, pixels
from src.schema import GoogLeNetConfig


class Module(NamedTuple):
    """Numbers of filters in an inception module, a row of the paper's table 1."""

    one: int  # 1x1
    three_reduce: int
    three: int  # 3x3, after a 1x1 with `three_reduce`
    five_reduce: int
    five: int  # 5x5, after a 1x1 with `five_reduce`
    pool: int  # 1x1 after a 3x3 pooling


STAGES = {  # with a pooling between the stages
    "3": {"a": Module(64, 96, 128, 16, 32, 32), "b": Module(128, 128, 192, 32, 96, 64)},
    "4": {
        "a": Module(192, 96, 208, 16, 48, 64),
        "b": Module(160, 112, 224, 24, 64, 64),
        "c": Module(128, 128, 256, 24, 64, 64),
        "d": Module(112, 144, 288, 32, 64, 64),
        "e": Module(256, 160, 320, 32, 128, 128),
    },
    "5": {"a": Module(256, 160, 320, 32, 128, 128), "b": Module(384, 192, 384, 48, 128, 128)},
}


def build_googlenet(config: GoogLeNetConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return GoogLeNet: a stem and nine inception modules, then the mean of each map.

    Reference:
        Szegedy et al. 2014, "Going Deeper with Convolutions", table 1. 7,005,832 trainable parameters on 224x224x3
        images and 1000 classes, with batch normalization and without the auxiliary heads.

    Departures:
        Batch normalization after every convolution (Ioffe and Szegedy 2015) instead of local response normalization.
        No auxiliary heads, which batch normalization makes superfluous. The small stem has the same widths, but no
        strides and no pooling.
    """
    inputs, features = pixels(input_shape, config.input_size)
    is_small = config.stem_for(*input_shape[:2]) == "small"
    features = small_stem(features) if is_small else imagenet_stem(features)
    for stage, modules in STAGES.items():
        if stage != "3":
            features = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool_{stage}")(features)
        for letter, module in modules.items():
            features = inception_module(features, module, f"inception_{stage}{letter}")
    return keras.Model(inputs, classifier(features, num_classes, config.dropout), name=config.name)


def imagenet_stem(features: keras.KerasTensor) -> keras.KerasTensor:
    """The stem of the paper: an eighth of the image's side, 192 channels."""
    features = conv_bn(features, 64, 7, "stem_1", strides=2)
    features = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool_1")(features)
    features = conv_bn(features, 64, 1, "stem_2")
    features = conv_bn(features, 192, 3, "stem_3")
    return layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool_2")(features)


def small_stem(features: keras.KerasTensor) -> keras.KerasTensor:
    """The stem for small images: the size of the image, 192 channels."""
    features = conv_bn(features, 64, 3, "stem_1")
    features = conv_bn(features, 64, 1, "stem_2")
    return conv_bn(features, 192, 3, "stem_3")


def inception_module(features: keras.KerasTensor, module: Module, name: str) -> keras.KerasTensor:
    """Four parallel branches: 1x1, 3x3, 5x5 and pooling. A 1x1 convolution before 3x3 and 5x5 reduces the channels."""
    one = conv_bn(features, module.one, 1, f"{name}_1x1")
    three = conv_bn(features, module.three_reduce, 1, f"{name}_3x3_reduce")
    three = conv_bn(three, module.three, 3, f"{name}_3x3")
    five = conv_bn(features, module.five_reduce, 1, f"{name}_5x5_reduce")
    five = conv_bn(five, module.five, 5, f"{name}_5x5")
    pool = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(features)
    pool = conv_bn(pool, module.pool, 1, f"{name}_pool_1x1")
    return layers.Concatenate(name=name)([one, three, five, pool])
