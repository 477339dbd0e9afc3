"""Networks from their configs. A config knows the function that builds its network.

The input of every network is raw pixels (uint8, 0-255; its first layer scales them to [0, 1]) and its output is class
probabilities (float32). So a served model cannot preprocess images in another way than the training did.
"""

import keras
import numpy as np
import numpy.typing as npt

from src.schema import ModelConfig


def build_model(config: ModelConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return the network, not compiled, with initial weights that depend on Keras' global random seed.

    Args:
        config: the network and its settings.
        input_shape: height, width and channels of the images.
        num_classes: number of probabilities in the output.

    Raises:
        ConfigError: images that are too small for the network.
    """
    config.check_input(*input_shape[:2])
    return config.builder()(config, input_shape, num_classes)


def predict(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the probabilities of a few images, without compiling a function.

    Args:
        model: any of the networks.
        images: uint8, (n, height, width, channels), 0-255.

    Returns:
        float32, (n, classes).
    """
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))
