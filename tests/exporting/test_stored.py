"""The manifest of an exported file: a file is opened only if it is the one that was exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from src import exporting
from src.errors import ConfigError, ModelFileError
from tests.support.exports import change, need, write_content


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path):
    file = write_content(tmp_path / "onnx", b"content")
    manifest = exporting.read_manifest(file)
    assert (manifest.size, manifest.input_shape, manifest.class_names) == (7, (12, 12, 1), ["cat", "dög", "=owl"])
    assert exporting.check_file(file, manifest) == b"content"


def test_an_edited_file_is_refused(tmp_path: Path):
    file = write_content(tmp_path / "onnx", b"content")
    file.write_bytes(b"c0ntent")
    with pytest.raises(ModelFileError, match=r"model.onnx differs from its manifest.json: it was changed after"):
        exporting.check_file(file, exporting.read_manifest(file))


def test_a_missing_file_and_one_without_a_manifest_are_sentences(tmp_path: Path):
    with pytest.raises(ModelFileError, match="there is no model file"):
        exporting.read_manifest(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"content")
    with pytest.raises(ModelFileError, match=r"model.onnx has no readable manifest.json next to it .*export the model"):
        exporting.read_manifest(tmp_path / "model.onnx")


def test_a_file_under_another_name_is_refused(tmp_path: Path):
    file = write_content(tmp_path / "onnx", b"content")
    renamed = file.rename(file.with_name("best.onnx"))
    with pytest.raises(ModelFileError, match=r"does not fit best.onnx: it describes model.onnx"):
        exporting.read_manifest(renamed)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"format": "coreml"}, "got the format 'coreml', expected one of onnx, litert, litert_int8"),
        ({"input_shape": [28, 28]}, r"got the input shape \[28, 28\], expected height, width and channels"),
        ({"input_shape": [28, 28, 0]}, "got the input shape"),
        ({"input_shape": 28}, "has no readable manifest.json"),
        ({"class_names": []}, "it does not name the classes"),
        ({"resize_mode": "squeeze"}, "got the resize mode 'squeeze'"),
        ({"unknown": 1}, "has no readable manifest.json"),
    ],
)
def test_a_manifest_with_a_wrong_value_is_a_sentence(facts: dict[str, Any], sentence: str, tmp_path: Path):
    file = write_content(tmp_path / "onnx", b"content")
    change(file, **facts)
    with pytest.raises(ModelFileError, match=sentence):
        exporting.read_manifest(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000])
def test_a_damaged_manifest_is_a_sentence(text: str, tmp_path: Path):
    file = write_content(tmp_path / "onnx", b"content")
    file.with_name("manifest.json").write_text(text)
    with pytest.raises(ModelFileError, match=r"has no readable manifest.json next to it"):
        exporting.read_manifest(file)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("onnxruntime", "tf2onnx"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ConfigError, match=r"formats=\[onnx\]: .*onnxruntime, tf2onnx are not .*make setup EXPORT=1"):
        exporting.check_converters(["onnx"])
    with pytest.raises(ConfigError, match="the package onnxruntime is not installed; run `make setup EXPORT=1`"):
        exporting.open_export(write_content(tmp_path / "onnx", b"content"))


def test_a_file_that_its_manifest_describes_but_that_cannot_be_run_is_a_sentence(tmp_path: Path):
    need("onnx", "litert")
    for name in ("onnx", "litert"):
        file = write_content(tmp_path / name, b"content", format=name)
        with pytest.raises(ModelFileError, match=f"{file.name} cannot be run on images of 12x12x1: "):
            exporting.open_export(file)
