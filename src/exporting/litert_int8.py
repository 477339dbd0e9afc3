"""LiteRT with 8-bit integers: weights and activations are quantized after the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src.exporting.litert import converted, set_operations

if TYPE_CHECKING:
    import keras


def convert(model: keras.Model, images: npt.NDArray[np.uint8], metadata: str) -> bytes:
    """Return a LiteRT file that computes with 8-bit integers between its input and its output; see `ExportFormat`.

    Args:
        model: any of the networks.
        images: uint8, (n, height, width, channels); they measure the range of each activation.
        metadata: for people and programs that read the file.
    """
    import tensorflow as tf

    def quantize(converter: Any) -> None:
        set_operations(converter, tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)

    return converted(model, metadata, quantize)
