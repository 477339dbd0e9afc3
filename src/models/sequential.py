"""Sequential networks: convolutions with pooling, hidden dense layers, softmax."""

import keras
from keras import layers

from src.models.layers import pixels, probabilities
from src.schema import ConvBlock, SequentialConfig

POOLING = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}


def build_sequential(config: SequentialConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return a network that is a list of layers. The lists are in `conf/model/`, with their sources."""
    inputs, features = pixels(input_shape, config.input_size)
    if config.input_padding:
        features = layers.ZeroPadding2D(config.input_padding, name="input_padding")(features)
    for index, block in enumerate(config.conv):
        features = conv_block(features, block, config.activation, index)
    features = layers.Flatten(name="flatten")(features)
    for index, units in enumerate(config.dense):
        features = layers.Dense(units, activation=config.activation, name=f"dense_{index}")(features)
        if config.dropout:
            features = layers.Dropout(config.dropout, name=f"dropout_{index}")(features)
    return keras.Model(inputs, probabilities(features, num_classes), name=config.name)


def conv_block(features: keras.KerasTensor, block: ConvBlock, activation: str, index: int) -> keras.KerasTensor:
    """A convolution, optional batch normalization, an activation, and optional pooling.

    A convolution before batch normalization has no bias, because the normalization would cancel it.
    """
    features = layers.Conv2D(
        block.filters,
        block.kernel_size,
        strides=block.strides,
        padding=block.padding,
        activation=None if block.batch_norm else activation,
        use_bias=not block.batch_norm,
        name=f"conv_{index}",
    )(features)
    if block.batch_norm:
        features = layers.BatchNormalization(name=f"batch_norm_{index}")(features)
        features = layers.Activation(activation, name=f"activation_{index}")(features)
    if block.pool:
        features = POOLING[block.pool](block.pool_size, name=f"pool_{index}")(features)
    return features
