"""Pieces that several networks share: tensor in, tensor out."""

import keras
from keras import layers


def pixels(input_shape: tuple[int, int, int], input_size: int | None) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input of raw pixels, and the same images scaled to [0, 1] and, where a size is given, resized.

    Returns:
        The input: uint8, (batch, height, width, channels), 0-255. The images: (batch, height, width, channels), 0-1.
    """
    inputs = keras.Input(input_shape, dtype="uint8", name="pixels")
    images = layers.Rescaling(1 / 255, name="rescale")(inputs)
    if input_size is not None:
        # Resizing passes its own training=True on to the layers after it unless it is told otherwise.
        images = layers.Resizing(input_size, input_size, name="resize")(images, training=False)
    return inputs, images


def probabilities(features: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Class probabilities, float32, (batch, num_classes), from a vector of features; float32 under any precision."""
    return layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(features)
