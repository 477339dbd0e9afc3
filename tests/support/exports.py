"""Small networks and their exported files, for tests that need the packages of the extra `export`."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from src import exporting
from src.schema import EXPORTS
from tests.support.servers import missing

NAMES = ["cat", "dög", "=owl"]
SHAPE = (12, 12, 1)
FACTS: dict[str, Any] = {
    "input_shape": SHAPE,
    "class_names": NAMES,
    "resize_mode": "crop",
    "converts": True,
    "model": "tiny",
    "run_id": "0" * 32,
    "model_uri": None,
    "model_sha256": "0" * 64,
}


def need(*formats: str) -> None:
    """Skips the test unless the packages of these formats are installed; in CI fails it."""
    for name in formats:
        packages = (*EXPORTS[name].converters, EXPORTS[name].runtime)
        if any(importlib.util.find_spec(package) is None for package in packages):
            missing(f"the packages of the format {name} are not installed: make setup EXPORT=1")


def some_images(count: int = 40) -> npt.NDArray[np.uint8]:
    """Random images: uint8, (count, 12, 12, 1)."""
    return np.random.default_rng(1).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


def tiny_network(*extra: keras.layers.Layer) -> keras.Model:
    """A network with random weights that differ each time, and further layers before its classifier."""
    inputs = keras.Input(SHAPE, dtype="uint8", name="pixels")
    features = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
    features = keras.layers.Conv2D(4, 3, activation="relu", name="conv_0")(features)
    for layer in extra:
        features = layer(features)
    features = keras.layers.Flatten(name="flatten")(features)
    outputs = keras.layers.Dense(len(NAMES), activation="softmax", dtype="float32", name="probabilities")(features)
    return keras.Model(inputs, outputs, name="tiny")


def write_file(folder: Path, name: str, model: keras.Model | None = None) -> Path:
    """The file of a network in this format, with its manifest next to it."""
    need(name)
    content = exporting.convert_model(model or tiny_network(), name, some_images(), NAMES)
    return write_content(folder, content, format=name, versions=exporting.versions(name))


def write_content(folder: Path, content: bytes, **facts: Any) -> Path:
    """A file with this content, which may be anything, and its manifest."""
    manifest = exporting.write_export(folder, content, **(FACTS | {"format": "onnx", "versions": {}} | facts))
    assert "sha256" in dataclasses.asdict(manifest)
    return folder / manifest.file


def change(file: Path, **facts: Any) -> None:
    """Edits the manifest of a file."""
    path = file.with_name("manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
