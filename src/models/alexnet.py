"""AlexNet, the convolutional network that won the ImageNet challenge in 2012."""

import keras
from keras import layers

from src.models.layers import pixels, probabilities
from src.schema import AlexNetConfig


def build_alexnet(config: AlexNetConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return AlexNet: five convolutions with overlapping 3x3/2 pooling, dropout, two hidden layers of 4096 units.

    Reference:
        Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", as the
        single tower of Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks": 61,100,840
        parameters on 224x224x3 images and 1000 classes. The original (60,965,224 parameters) has grouped
        convolutions only to divide the network between two graphics cards; a single tower does not need them.

    Departures:
        No local response normalization. Keras' initial weights. Dropout before each hidden layer, as in the paper, but
        no weight decay (`optimizer=adamw` has it). Images are scaled to [0, 1] and no mean is subtracted.
    """
    inputs, features = pixels(input_shape, config.input_size)
    features = layers.ZeroPadding2D(2, name="padding")(features)
    features = layers.Conv2D(64, 11, strides=4, activation="relu", name="conv_1")(features)
    features = layers.MaxPooling2D(3, strides=2, name="pool_1")(features)
    features = layers.Conv2D(192, 5, padding="same", activation="relu", name="conv_2")(features)
    features = layers.MaxPooling2D(3, strides=2, name="pool_2")(features)
    features = layers.Conv2D(384, 3, padding="same", activation="relu", name="conv_3")(features)
    features = layers.Conv2D(256, 3, padding="same", activation="relu", name="conv_4")(features)
    features = layers.Conv2D(256, 3, padding="same", activation="relu", name="conv_5")(features)
    features = layers.MaxPooling2D(3, strides=2, name="pool_5")(features)
    features = layers.Flatten(name="flatten")(features)
    for index, units in enumerate(config.dense):
        if config.dropout:
            features = layers.Dropout(config.dropout, name=f"dropout_{index}")(features)
        features = layers.Dense(units, activation="relu", name=f"dense_{index}")(features)
    return keras.Model(inputs, probabilities(features, num_classes), name=config.name)
