"""Layers that several networks share, as functions from tensor to tensor."""

import keras
from keras import layers


def pixels(input_shape: tuple[int, int, int], input_size: int | None) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the input of raw pixels, and the images scaled to [0, 1] and, if a size is given, resized.

    Returns:
        The input: uint8, (batch, height, width, channels), 0-255. The images: (batch, height, width, channels), 0-1.
    """
    inputs = keras.Input(input_shape, dtype="uint8", name="pixels")
    images = layers.Rescaling(1 / 255, name="rescale")(inputs)
    if input_size is not None:
        # Without training=False, Resizing passes training=True on to the layers after it.
        images = layers.Resizing(input_size, input_size, name="resize")(images, training=False)
    return inputs, images


def conv_bn(
    features: keras.KerasTensor,
    filters: int,
    kernel_size: int | tuple[int, int],
    name: str,
    *,
    strides: int = 1,
    padding: str = "same",
    scale: bool = True,
    activation: str | None = "relu",
) -> keras.KerasTensor:
    """A convolution without bias, batch normalization, and an activation.

    Args:
        features: (batch, height, width, channels).
        filters, kernel_size, strides, padding: of the convolution.
        name: prefix of the layers' names.
        scale: whether the normalization multiplies by a weight; not needed when a ReLU and a convolution follow.
        activation: None for no activation.
    """
    features = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(features)
    features = layers.BatchNormalization(scale=scale, name=f"{name}_bn")(features)
    return layers.Activation(activation, name=f"{name}_{activation}")(features) if activation else features


def classifier(features: keras.KerasTensor, num_classes: int, dropout: float) -> keras.KerasTensor:
    """Class probabilities from maps: the mean of each map, dropout unless it is 0, softmax.

    Args:
        features: (batch, height, width, channels).

    Returns:
        float32, (batch, num_classes).
    """
    features = layers.GlobalAveragePooling2D(name="features")(features)
    if dropout:
        features = layers.Dropout(dropout, name="dropout")(features)
    return probabilities(features, num_classes)


def probabilities(features: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Class probabilities from a vector of features: float32 under any precision policy, (batch, num_classes)."""
    return layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(features)
