"""Networks from their configs. A config knows the function that builds its network.

Every network takes raw pixels (uint8, 0-255; its first layer scales them to [0, 1]) and returns class probabilities
(float32), so that a served model cannot differ from the one that was trained.
"""

import keras
import numpy as np
import numpy.typing as npt

from src.schema import ModelConfig


def build_model(config: ModelConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return the network, not yet compiled, with random weights from Keras' own seed.

    Args:
        config: which network, and its settings.
        input_shape: height, width and channels of the images.
        num_classes: how many probabilities it returns.

    Raises:
        ConfigError: images that are too small for the network.
    """
    config.check_input(*input_shape[:2])
    return config.builder()(config, input_shape, num_classes)


def predict(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the probabilities of a few images, without compiling anything for it.

    Args:
        model: any of the networks.
        images: uint8, (n, height, width, channels), 0-255.

    Returns:
        float32, (n, classes).
    """
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))
