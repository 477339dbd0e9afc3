"""A look inside a trained network, as numbers; `src.figures` draws them."""

import keras
import numpy as np
import numpy.typing as npt


def first_filters(model: keras.Model) -> npt.NDArray[np.float32] | None:
    """The kernels of the first convolution: float32, (filters, height, width, channels); None when there is none."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            return np.moveaxis(keras.ops.convert_to_numpy(layer.kernel), -1, 0)
    return None
