"""Networks from their configs: `BUILDERS` maps a model's `family` to the function that builds it.

Every network takes raw pixels (uint8, 0-255; its first layer scales them to [0, 1]) and returns class probabilities
(float32), so that what is served cannot differ from what was trained.
"""

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt

from src.errors import ConfigError
from src.models.alexnet import build_alexnet
from src.models.googlenet import build_googlenet
from src.models.inception_v3 import build_inception_v3
from src.models.resnet import build_resnet
from src.models.sequential import build_sequential
from src.models.transfer import build_transfer
from src.schema import ModelConfig

BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "sequential": build_sequential,
    "alexnet": build_alexnet,
    "googlenet": build_googlenet,
    "inception_v3": build_inception_v3,
    "resnet": build_resnet,
    "transfer": build_transfer,
}


def build_model(config: ModelConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """The network, not yet compiled, its weights drawn with Keras' own random seed.

    Args:
        config: which network, and its settings.
        input_shape: height, width and channels of the images.
        num_classes: how many probabilities it returns.

    Raises:
        ConfigError: a family that does not exist, or images that are too small for the network.
    """
    if config.family not in BUILDERS:
        raise ConfigError(f"model.family: no family {config.family!r}; known: {', '.join(BUILDERS)}")
    config.check_input(*input_shape[:2])
    return BUILDERS[config.family](config, input_shape, num_classes)


def predict(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Probabilities of a handful of images, without compiling anything for it.

    Args:
        model: any of the networks.
        images: uint8, (n, height, width, channels), 0-255.

    Returns:
        float32, (n, classes).
    """
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))
