"""Residual networks, with optional squeeze-and-excitation in their blocks."""

from collections.abc import Callable

import keras
from keras import layers

from src.models.layers import classifier, conv_bn, pixels
from src.schema import ResNetConfig

Recalibrate = Callable[[keras.KerasTensor, str], keras.KerasTensor]  # maps and a name -> maps of the same shape


def build_resnet(config: ResNetConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return a ResNet: a stem, stages of residual blocks that halve the side and double the width, then a mean.

    Reference:
        He et al. 2015, "Deep Residual Learning for Image Recognition", table 1; the small stem is that of its section
        4.2. Trainable parameters on 224x224x3 images and 1000 classes: 11,689,512 (18 layers), 21,797,672 (34),
        25,557,032 (50).
        Hu et al. 2017, "Squeeze-and-Excitation Networks", figure 3: with ratio r each block of C channels has
        (C + 1) C / r + (C / r + 1) C parameters more. SE-ResNet-50 has 28,088,024, SE-ResNet-18 11,778,592.

    Departures:
        A bottleneck halves the side in its 3x3 convolution and not in its first 1x1, as in torchvision and in the code
        of the SE authors. No weight decay (`optimizer=adamw` has it).
    """
    inputs, features = pixels(input_shape, config.input_size)
    is_small = config.stem_for(*input_shape[:2]) == "small"
    features = small_stem(features, config.filters) if is_small else imagenet_stem(features, config.filters)
    recalibrate = squeeze_excite(config.squeeze_excite_ratio) if config.squeeze_excite_ratio else unchanged
    block = bottleneck_block if config.bottleneck else basic_block
    for stage, count in enumerate(config.blocks):
        for index in range(count):
            strides = 2 if stage > 0 and index == 0 else 1
            name = f"stage_{stage + 1}_block_{index + 1}"
            features = block(features, config.filters * 2**stage, strides, recalibrate, name)
    return keras.Model(inputs, classifier(features, num_classes, config.dropout), name=config.name)


def imagenet_stem(features: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """The stem of the paper: a 7x7 convolution and a pooling, a quarter of the image's side."""
    features = conv_bn(features, filters, 7, "stem", strides=2)
    return layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(features)


def small_stem(features: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """The stem for small images: a 3x3 convolution, the size of the image."""
    return conv_bn(features, filters, 3, "stem")


def basic_block(
    features: keras.KerasTensor, filters: int, strides: int, recalibrate: Recalibrate, name: str
) -> keras.KerasTensor:
    """Two 3x3 convolutions and a shortcut around them."""
    residual = conv_bn(features, filters, 3, f"{name}_1", strides=strides)
    residual = conv_bn(residual, filters, 3, f"{name}_2", activation=None)
    return add_shortcut(features, recalibrate(residual, name), strides, name)


def bottleneck_block(
    features: keras.KerasTensor, filters: int, strides: int, recalibrate: Recalibrate, name: str
) -> keras.KerasTensor:
    """1x1, 3x3 and 1x1 convolutions, the last four times as wide, and a shortcut around them."""
    residual = conv_bn(features, filters, 1, f"{name}_1")
    residual = conv_bn(residual, filters, 3, f"{name}_2", strides=strides)
    residual = conv_bn(residual, 4 * filters, 1, f"{name}_3", activation=None)
    return add_shortcut(features, recalibrate(residual, name), strides, name)


def add_shortcut(
    features: keras.KerasTensor, residual: keras.KerasTensor, strides: int, name: str
) -> keras.KerasTensor:
    """The sum of a block's input and its residual. A 1x1 convolution adapts the input when the shapes differ."""
    channels = residual.shape[-1]
    if strides != 1 or features.shape[-1] != channels:
        features = conv_bn(features, channels, 1, f"{name}_shortcut", strides=strides, activation=None)
    total = layers.Add(name=f"{name}_add")([features, residual])
    return layers.Activation("relu", name=f"{name}_relu")(total)


def unchanged(features: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return the features as they are: a block without squeeze-and-excitation."""
    return features


def squeeze_excite(ratio: int) -> Recalibrate:
    """Return a function that multiplies each map by a weight, computed from the means of all maps.

    The means are the squeeze to a vector, the weights are the excitation of each channel.
    """

    def recalibrate(features: keras.KerasTensor, name: str) -> keras.KerasTensor:
        channels = features.shape[-1]
        weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(features)
        weights = layers.Dense(channels // ratio, activation="relu", name=f"{name}_excite_1")(weights)
        weights = layers.Dense(channels, activation="sigmoid", name=f"{name}_excite_2")(weights)
        return layers.Multiply(name=f"{name}_recalibrate")([features, weights])

    return recalibrate
