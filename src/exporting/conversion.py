"""Convert a Keras model to a format of `EXPORTS`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from src.errors import ModelFileError
from src.exporting.graphs import layer_of
from src.exporting.quiet import quiet
from src.exporting.unsupported import Unsupported
from src.foreign import describe_error
from src.process.failures import describe_memory_error
from src.process.interrupt import deferred
from src.schema import EXPORTS, load_name

MAX_CALIBRATION = 200  # images; more hardly change the ranges of the activations


def convert_model(
    model: keras.Model, format_name: str, images: npt.NDArray[np.uint8], class_names: Sequence[str]
) -> bytes:
    """Return the content of a file of this format. It takes raw pixels and gives probabilities, as the model does.

    Args:
        model: any of the networks, with trained weights.
        format_name: one of `EXPORTS`.
        images: the training images, uint8, (n, height, width, channels), of which some measure the range of each
            activation for quantization: always the same, evenly distributed over all of them.
        class_names: of each probability; the file contains them and the shape of an image as metadata.

    Raises:
        ModelFileError: the format has no operation for one of the layers.
        MemoryError: there is too little memory for the conversion.
    """
    spread = np.unique(np.linspace(0, len(images) - 1, min(MAX_CALIBRATION, len(images)), dtype=np.int64))
    chosen = np.stack([images[index] for index in spread])
    metadata = json.dumps({"input_shape": images.shape[1:], "class_names": list(class_names)}, ensure_ascii=False)
    try:
        with deferred(), quiet():
            content: bytes = load_name(EXPORTS[format_name].converted_by)(model, chosen, metadata)
    except Unsupported as error:
        layer = next(filter(None, (layer_of(model, node) for node in error.nodes)), None)
        place = f"of layer {layer!r}" if layer else f"of the network {model.name}"
        raise ModelFileError(
            f"{format_name} has no operation {error.operation}, which is part {place}; export another format, or train "
            "without this layer"
        ) from error
    except Exception as error:  # converters raise almost any error
        if describe_memory_error(error) is not None:  # the command explains it
            raise
        raise ModelFileError(
            f"{model.name} cannot be converted to {format_name}: {describe_error(error)}; export another format"
        ) from error
    return content
