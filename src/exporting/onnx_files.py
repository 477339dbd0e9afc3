"""ONNX: converted by tf2onnx, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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

    from src.exporting.graphs import INPUT, OUTPUT, frozen

    function = frozen(model)
    (received,), (given,) = ([tensor.name for tensor in side] for side in (function.inputs, function.outputs))
    proto, _ = tf2onnx.convert.from_graph_def(
        function.graph.as_graph_def(),
        input_names=[received],
        output_names=[given],
        tensors_to_rename={received: INPUT, given: OUTPUT},
        custom_op_handlers={"Erfc": (_convert_erfc, [])},
        opset=OPSET,
    )
    for node in _nodes(proto.graph):
        if not onnx.defs.has(node.op_type, node.domain):  # tf2onnx leaves TensorFlow's operation in the graph
            raise Unsupported(node.op_type, [node.name])
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
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


def _convert_erfc(context: Any, node: Any, name: str, arguments: Sequence[Any]) -> None:
    """Replace an `Erfc` node by one minus `Erf`; a handler of tf2onnx.

    TensorFlow computes exact GELU with the former, and ONNX has only the latter.
    """
    from tf2onnx.utils import make_name, map_onnx_to_numpy_type

    dtype = context.get_dtype(node.output[0])
    facts = {"shapes": [context.get_shape(node.output[0])], "dtypes": [dtype]}
    one = context.make_const(make_name(name), np.ones((), map_onnx_to_numpy_type(dtype)))
    erf = context.make_node("Erf", node.input, name=make_name(name), **facts)
    context.remove_node(name)
    context.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=node.output, **facts)


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of the graphs in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner)
