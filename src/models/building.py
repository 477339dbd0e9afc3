"""Networks from their configs. A config knows the function that builds its network.

The input of every network is raw pixels (uint8, 0-255; its first layer scales them to [0, 1]) and its output is class
probabilities (float32). So a served model cannot preprocess images in another way than the training did.
"""

import keras
import numpy as np
import numpy.typing as npt

from src.errors import UserError
from src.foreign import explain_errors
from src.schema import BatchNormedConfig, ModelConfig


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
    model: keras.Model = config.build(keras.Model, config, input_shape, num_classes)
    if isinstance(config, BatchNormedConfig):
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = config.batch_norm_momentum
    return _checked(model, config, input_shape, num_classes) if config.is_foreign else model


def _checked(
    model: keras.Model, config: ModelConfig, input_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """Return a user's network as a functional model that takes raw pixels and gives probabilities.

    Raises:
        UserError: it is not such a network.
    """
    what = f"model {config.kind}: {config.builds} returned a network"
    try:
        inputs, outputs = list(model.inputs), list(model.outputs)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{what} without a keras.Input; begin it with one, as src.models.layers.pixels does") from error
    if [(tuple(tensor.shape[1:]), tensor.dtype) for tensor in inputs] != [(input_shape, "uint8")]:
        received = ", ".join(f"{tensor.dtype} {tuple(tensor.shape[1:])}" for tensor in inputs)
        raise UserError(f"{what} for {received}; expected one input, raw pixels: uint8 {input_shape}")
    if [tuple(tensor.shape[1:]) for tensor in outputs] != [(num_classes,)]:
        received = ", ".join(str(tuple(tensor.shape[1:])) for tensor in outputs)
        raise UserError(f"{what} with output {received}; expected one probability for each of {num_classes} classes")
    functional = keras.Model(inputs[0], outputs[0], name=config.name)
    with explain_errors(what):
        sums = predict(functional, np.zeros((2, *input_shape), np.uint8)).sum(axis=1)
    if not np.allclose(sums, 1, atol=0.01):
        raise UserError(
            f"{what} whose outputs sum to {sums[0]:g}, not to 1: they are not probabilities; end it with softmax"
        )
    return functional


def predict(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the probabilities of a few images, without compiling a function.

    Args:
        model: any of the networks.
        images: uint8, (n, height, width, channels), 0-255.

    Returns:
        float32, (n, classes).
    """
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))
