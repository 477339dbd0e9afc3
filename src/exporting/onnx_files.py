"""ONNX: converted by tf2onnx, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src.exporting.unsupported import Unsupported

if TYPE_CHECKING:
    import keras

OPSET = 18  # of 2022; every runtime of the last years reads it


def convert(model: keras.Model, images: npt.NDArray[np.uint8], metadata: str) -> bytes:
    """Return an ONNX file with float32 weights; see `ExportFormat`. The metadata is its property `convlab`."""
    import onnx
    import tf2onnx

    from src.exporting.graphs import OUTPUT, inference, signature

    proto, _ = tf2onnx.convert.from_function(inference(model), input_signature=[signature(model)], opset=OPSET)
    for node in _nodes(proto.graph):
        if not onnx.defs.has(node.op_type, node.domain):  # tf2onnx leaves TensorFlow's operation in the graph
            raise Unsupported(node.op_type, [node.name])
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    assert [value.name for value in proto.graph.output] == [OUTPUT]
    onnx.helper.set_model_props(proto, {"convlab": metadata})
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


def open_content(content: bytes, threads: int) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """Return the function from images to probabilities; see `ExportFormat`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class of their own
        raise ValueError(str(error)) from error
    (received,) = (value.name for value in session.get_inputs())
    return lambda images: session.run(None, {received: images})[0]


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of the graphs in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner)
