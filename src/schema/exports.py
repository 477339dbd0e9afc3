"""The table of export formats: files of a trained model that programs other than Keras run.

A new format is one entry in `EXPORTS`, besides the file of `src/exporting/` with the functions that the entry names.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format that a trained model can be exported to.

    Attributes:
        file: the name of the exported file.
        converted_by: `module:name` of the function that makes it: from a Keras model, some of its training images,
            uint8, (n, height, width, channels), and metadata as JSON, to the content of the file.
        converters: the packages that it needs.
        opened_by: `module:name` of the function that opens it: from the content and a number of threads to a function
            from images, uint8, (n, height, width, channels), to probabilities, float32, (n, classes).
        runtime: the package that it needs.
        python: lines for a program of the user, from `file` and `images` to `probabilities`.
        max_drop: how much less accurate than the model the file may be.
    """

    file: str
    converted_by: str
    converters: tuple[str, ...]
    opened_by: str
    runtime: str
    python: str
    max_drop: float = 0.002


ONNX_RUNTIME = """\
import onnxruntime
session = onnxruntime.InferenceSession(file)
(probabilities,) = session.run(None, {"pixels": images})"""

LITERT = """\
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(file)
input_index = interpreter.get_input_details()[0]["index"]
output_index = interpreter.get_output_details()[0]["index"]
interpreter.resize_tensor_input(input_index, images.shape)
interpreter.allocate_tensors()
interpreter.set_tensor(input_index, images)
interpreter.invoke()
probabilities = interpreter.get_tensor(output_index)"""

EXPORTS: dict[str, ExportFormat] = {
    "onnx": ExportFormat(
        file="model.onnx",
        converted_by="src.exporting.onnx_files:convert",
        converters=("tf2onnx", "onnx"),
        opened_by="src.exporting.onnx_files:open_content",
        runtime="onnxruntime",
        python=ONNX_RUNTIME,
    ),
    "litert": ExportFormat(
        file="model.tflite",
        converted_by="src.exporting.litert:convert",
        converters=(),
        opened_by="src.exporting.litert:open_content",
        runtime="ai_edge_litert",
        python=LITERT,
    ),
    "litert_int8": ExportFormat(
        file="model.tflite",
        converted_by="src.exporting.litert_int8:convert",
        converters=(),
        opened_by="src.exporting.litert:open_content",
        runtime="ai_edge_litert",
        python=LITERT,
        max_drop=0.01,  # 8-bit weights and activations are rounded
    ),
}
