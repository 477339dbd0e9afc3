"""Inception v3: large convolutions factorized into small and asymmetric ones."""

import keras
from keras import layers

from src.models.layers import classifier, conv_bn, pixels
from src.schema import InceptionV3Config

Kernel = tuple[int, int]


def build_inception_v3(config: InceptionV3Config, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return Inception v3: a stem and eleven modules in three sizes, then the mean of each map.

    Reference:
        Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer Vision", table 1 and figures 5 to 7 and
        10, as implemented in `keras.applications.InceptionV3`: 23,851,784 parameters, 23,817,352 of them trainable, on
        299x299x3 images and 1000 classes.

    Departures:
        No auxiliary head, batch normalization without scale (both as in Keras), no label smoothing. The small stem has
        the same widths, but no strides and no pooling.
    """
    inputs, features = pixels(input_shape, config.input_size)
    is_small = config.stem_for(*input_shape[:2]) == "small"
    features = small_stem(features) if is_small else imagenet_stem(features)
    for index, pool_filters in enumerate((32, 64, 64)):
        features = module_35(features, pool_filters, f"mixed_{index}")
    features = reduction_35(features, "mixed_3")
    for index, filters in enumerate((128, 160, 160, 192), start=4):
        features = module_17(features, filters, f"mixed_{index}")
    features = reduction_17(features, "mixed_8")
    for index in (9, 10):
        features = module_8(features, f"mixed_{index}")
    return keras.Model(inputs, classifier(features, num_classes, config.dropout), name=config.name)


def imagenet_stem(features: keras.KerasTensor) -> keras.KerasTensor:
    """The stem of the paper: 299x299 pixels become 35x35, 192 channels."""
    features = convolutions(features, "stem_a", (32, 3), strides=2, padding="valid")
    features = convolutions(features, "stem_b", (32, 3), padding="valid")
    features = convolutions(features, "stem_c", (64, 3))
    features = layers.MaxPooling2D(3, strides=2, name="stem_pool_1")(features)
    features = convolutions(features, "stem_d", (80, 1), padding="valid")
    features = convolutions(features, "stem_e", (192, 3), padding="valid")
    return layers.MaxPooling2D(3, strides=2, name="stem_pool_2")(features)


def small_stem(features: keras.KerasTensor) -> keras.KerasTensor:
    """The stem for small images: the size of the image, 192 channels."""
    return convolutions(features, "stem", (32, 3), (32, 3), (64, 3), (80, 1), (192, 3))


def module_35(features: keras.KerasTensor, pool_filters: int, name: str) -> keras.KerasTensor:
    """The module of figure 5: a 5x5 convolution, and the same as two 3x3."""
    one = convolutions(features, f"{name}_1x1", (64, 1))
    five = convolutions(features, f"{name}_5x5", (48, 1), (64, 5))
    double = convolutions(features, f"{name}_3x3_twice", (64, 1), (96, 3), (96, 3))
    pool = pool_branch(features, pool_filters, name)
    return layers.Concatenate(name=name)([one, five, double, pool])


def reduction_35(features: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The reduction of figure 10: half the side, with parallel convolutions and pooling."""
    three = convolutions(features, f"{name}_3x3", (384, 3), strides=2, padding="valid")
    double = convolutions(features, f"{name}_3x3_twice", (64, 1), (96, 3))
    double = convolutions(double, f"{name}_3x3_last", (96, 3), strides=2, padding="valid")
    pool = layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(features)
    return layers.Concatenate(name=name)([three, double, pool])


def module_17(features: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """The module of figure 6: a 7x7 convolution as 1x7 and 7x1."""
    row, column = (1, 7), (7, 1)
    one = convolutions(features, f"{name}_1x1", (192, 1))
    seven = convolutions(features, f"{name}_7x7", (filters, 1), (filters, row), (192, column))
    double = convolutions(
        features,
        f"{name}_7x7_twice",
        (filters, 1),
        (filters, column),
        (filters, row),
        (filters, column),
        (192, row),
    )
    pool = pool_branch(features, 192, name)
    return layers.Concatenate(name=name)([one, seven, double, pool])


def reduction_17(features: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The second reduction: half the side again."""
    three = convolutions(features, f"{name}_3x3", (192, 1))
    three = convolutions(three, f"{name}_3x3_last", (320, 3), strides=2, padding="valid")
    seven = convolutions(features, f"{name}_7x7", (192, 1), (192, (1, 7)), (192, (7, 1)))
    seven = convolutions(seven, f"{name}_7x7_last", (192, 3), strides=2, padding="valid")
    pool = layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(features)
    return layers.Concatenate(name=name)([three, seven, pool])


def module_8(features: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The module of figure 7: parallel 1x3 and 3x1, for the maps with the most channels."""
    one = convolutions(features, f"{name}_1x1", (320, 1))
    three = convolutions(features, f"{name}_3x3", (384, 1))
    double = convolutions(features, f"{name}_3x3_twice", (448, 1), (384, 3))
    pool = pool_branch(features, 192, name)
    branches = [one, *split(three, f"{name}_3x3"), *split(double, f"{name}_3x3_twice"), pool]
    return layers.Concatenate(name=name)(branches)


def split(features: keras.KerasTensor, name: str) -> list[keras.KerasTensor]:
    """Return a 1x3 and a 3x1 convolution of the same maps."""
    return [
        convolutions(features, f"{name}_{rows}x{columns}", (384, (rows, columns))) for rows, columns in ((1, 3), (3, 1))
    ]


def pool_branch(features: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """A 3x3 average pooling and a 1x1 convolution."""
    pooled = layers.AveragePooling2D(3, strides=1, padding="same", name=f"{name}_pool")(features)
    return convolutions(pooled, f"{name}_pool_1x1", (filters, 1))


def convolutions(
    features: keras.KerasTensor,
    name: str,
    *row: tuple[int, int | Kernel],
    strides: int = 1,
    padding: str = "same",
) -> keras.KerasTensor:
    """A sequence of convolutions, each given as filters and kernel size."""
    for index, (filters, kernel_size) in enumerate(row):
        features = conv_bn(
            features, filters, kernel_size, f"{name}_{index}", strides=strides, padding=padding, scale=False
        )
    return features
