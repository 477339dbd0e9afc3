"""Each format computes what the network computes, and a layer that it cannot express is named."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from src import exporting
from src.errors import ModelFileError
from src.exporting.graphs import in_float32, layer_of
from src.models import predict
from src.schema import EXPORTS
from tests.support.exports import NAMES, need, some_images, tiny_network, write_file

TOLERANCES = {"onnx": 1e-5, "litert": 1e-5, "litert_int8": 0.05}


class Betainc(keras.layers.Layer):
    """A layer with an operation that no format has."""

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        import tensorflow as tf

        squeezed = tf.sigmoid(inputs)
        return tf.math.betainc(tf.ones_like(squeezed), tf.ones_like(squeezed), squeezed)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_file_gives_the_probabilities_of_the_network_for_any_number_of_images(name: str, tmp_path: Path):
    model = tiny_network()
    exported = exporting.open_export(write_file(tmp_path / name, name, model))
    for count in (1, 2, 33, 1):
        found = exported.probabilities(some_images(count))
        assert found.dtype == np.float32
        assert found.shape == (count, len(NAMES))
        np.testing.assert_allclose(found, predict(model, some_images(count)), atol=TOLERANCES[name])
    assert exported.probabilities(some_images(0)).shape == (0, len(NAMES))


LAYERS = {  # that Keras computes with a function that XLA compiles, with Erfc, or with constants outside the graph
    "groups": lambda: keras.layers.Conv2D(8, 3, groups=2, name="layer"),
    "depthwise": lambda: keras.layers.Conv2D(4, 3, groups=4, name="layer"),
    "gelu": lambda: keras.layers.Activation("gelu", name="layer"),
    "normalization": lambda: keras.layers.Normalization(mean=[0.1] * 4, variance=[0.2] * 4, name="layer"),
}


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_a_backbone_is_exported(name: str, layer: str, tmp_path: Path):
    model = tiny_network(LAYERS[layer]())
    exported = exporting.open_export(write_file(tmp_path / name, name, model))
    found = exported.probabilities(some_images())
    np.testing.assert_allclose(found, predict(model, some_images()), atol=TOLERANCES[name])


def test_an_eight_bit_file_is_a_quarter_as_large_and_not_exact(tmp_path: Path):
    model = tiny_network(keras.layers.Conv2D(64, 3, name="conv_1"), keras.layers.Conv2D(64, 3, name="conv_2"))
    full, quantized = (write_file(tmp_path / name, name, model) for name in ("litert", "litert_int8"))
    assert quantized.stat().st_size < 0.35 * full.stat().st_size
    found = exporting.open_export(quantized).probabilities(some_images())
    assert abs(found - predict(model, some_images())).max() > 1e-5


def test_the_same_network_is_quantized_in_the_same_way(tmp_path: Path):
    model = tiny_network()
    files = (write_file(tmp_path / name, "litert_int8", model) for name in ("first", "second"))
    first, second = (exporting.open_export(file).probabilities(some_images()) for file in files)
    np.testing.assert_array_equal(first, second)


def test_an_onnx_file_contains_the_names_of_its_classes_and_takes_a_batch_of_any_size(tmp_path: Path):
    file = write_file(tmp_path / "onnx", "onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    (received,), (given,) = session.get_inputs(), session.get_outputs()
    assert (received.name, received.type, received.shape) == ("pixels", "tensor(uint8)", ["batch", 12, 12, 1])
    assert (given.name, given.type, given.shape) == ("probabilities", "tensor(float)", ["batch", 3])
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["convlab"])
    assert metadata == {"input_shape": [12, 12, 1], "class_names": NAMES}


@pytest.mark.parametrize("name", ["litert", "litert_int8"])
def test_a_litert_file_contains_the_names_of_its_classes(name: str, tmp_path: Path):
    content = write_file(tmp_path / name, name).read_bytes()
    assert json.dumps({"input_shape": [12, 12, 1], "class_names": NAMES}, ensure_ascii=False).encode() in content


@pytest.mark.parametrize("name", EXPORTS)
def test_a_layer_that_a_format_cannot_express_is_named_with_its_operation(name: str):
    need(name)
    model = tiny_network(Betainc(name="strange"))
    with pytest.raises(ModelFileError, match=rf"^{name} has no operation Betainc, which is part of layer 'strange'; "):
        exporting.convert_model(model, name, some_images(), NAMES)


def test_another_error_of_a_converter_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    need("onnx")
    import tf2onnx

    def fail(*arguments: object, **named: object) -> None:
        raise KeyError("shape")

    monkeypatch.setattr(tf2onnx.convert, "from_graph_def", fail)
    with pytest.raises(ModelFileError, match=r"tiny cannot be converted to onnx: KeyError: 'shape' .*; export "):
        exporting.convert_model(tiny_network(), "onnx", some_images(), NAMES)


def test_a_converter_without_memory_is_not_taken_for_a_layer_that_the_format_lacks(monkeypatch: pytest.MonkeyPatch):
    need("onnx")
    import tf2onnx

    def fail(*arguments: object, **named: object) -> None:
        raise MemoryError("Unable to allocate 3 GiB")

    monkeypatch.setattr(tf2onnx.convert, "from_graph_def", fail)
    with pytest.raises(MemoryError):
        exporting.convert_model(tiny_network(), "onnx", some_images(), NAMES)


def test_a_network_of_mixed_precision_is_exported_in_float32(tmp_path: Path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_network()
    finally:
        keras.config.set_dtype_policy("float32")
    plain = in_float32(model)
    assert {layer.compute_dtype for layer in plain.layers if layer.weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32", "bfloat16"}
    exported = exporting.open_export(write_file(tmp_path / "onnx", "onnx", model))
    np.testing.assert_allclose(exported.probabilities(some_images()), predict(plain, some_images()), atol=1e-5)


def test_a_network_of_float32_is_not_copied():
    model = tiny_network()
    assert in_float32(model) is model


@pytest.mark.parametrize(
    ("node", "layer"),
    [("tiny_1/conv_0_1/convolution", "conv_0"), ("conv_0/Relu", "conv_0"), ("tiny/other/Add", None)],
)
def test_the_layer_of_a_node_is_found_by_the_names_in_its_path(node: str, layer: str | None):
    assert layer_of(tiny_network(), node) == layer
