"""LiteRT (`.tflite`): converted by TensorFlow, run by `ai-edge-litert`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src.exporting.unsupported import Unsupported

if TYPE_CHECKING:
    import keras

# TensorFlow's message lists what only its own kernels, or nobody's, could compute.
MISSING = re.compile(r"^(?:TF Select|Custom) ops: (\w+)", re.MULTILINE)


def convert(model: keras.Model, images: npt.NDArray[np.uint8], metadata: str) -> bytes:
    """Return a LiteRT file with float32 weights; see `ExportFormat`. The metadata is its entry `convlab`."""
    import tensorflow as tf

    return converted(model, metadata, lambda converter: set_operations(converter, tf.lite.OpsSet.TFLITE_BUILTINS))


def converted(model: keras.Model, metadata: str, configure: Callable[[Any], None]) -> bytes:
    """Return a LiteRT file. Programs set the number of images when they give its input a size.

    Args:
        model: any of the networks.
        metadata: for people and programs that read the file.
        configure: sets the options of TensorFlow's converter.

    Raises:
        Unsupported: LiteRT has no operation for a part of the network.
    """
    import tensorflow as tf

    from src.exporting.graphs import frozen, nodes_of

    function = frozen(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    configure(converter)
    try:
        content = converter.convert()
    except Exception as error:
        if found := MISSING.search(str(error)):
            raise Unsupported(found[1], nodes_of(function, [found[1]])) from error
        raise
    return _with_metadata(content, metadata)


def set_operations(converter: Any, operations: Any) -> None:
    """Let the converter use these operations alone: TensorFlow's own would have to be linked into every program."""
    converter.target_spec.supported_ops = [operations]


def open_content(content: bytes, threads: int) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """Return the function from images to probabilities; see `ExportFormat`."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    (received,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    allocated = 0  # images that there is memory for

    def run(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        nonlocal allocated
        if allocated != len(images):
            allocated = 0  # if one of the next two calls fails
            interpreter.resize_tensor_input(received["index"], images.shape, strict=True)  # other sides are fixed
            interpreter.allocate_tensors()
            allocated = len(images)
        interpreter.set_tensor(received["index"], images)
        interpreter.invoke()
        found: npt.NDArray[np.float32] = interpreter.get_tensor(given["index"])
        return found

    return run


def _with_metadata(content: bytes, metadata: str) -> bytes:
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = "convlab", len(model.buffers)
    buffer.data = np.frombuffer(metadata.encode(), np.uint8)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
