"""Convert every network to every format, with untrained weights; as a script, print the table of docs/export.md."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np

from src import exporting, fitting, models
from src.errors import ModelFileError
from src.schema import BACKBONES, EXPORTS
from tests.support.configs import composed
from tests.support.exports import NAMES
from tests.support.workplace import ROOT

FAMILIES = (  # one of each: the members differ in depth and width
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionV3",
    "InceptionResNetV2",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
)
NETWORKS = [
    *sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml") if path.stem != "transfer"),
    *(f"transfer {backbone}" for backbone in FAMILIES),
]
IMAGES = 16  # to compare; also those that quantization is calibrated with


def differences(network: str) -> dict[str, float | str]:
    """The largest difference between the probabilities of a network and of its file, or the error instead of it.

    Args:
        network: one of `NETWORKS`.

    Returns:
        For each format a number from 0 to 1, or the sentence of the error.
    """
    name, _, backbone = network.partition(" ")
    typed = [f"model={name}", "dataset=synthetic", "dataset.image_size=[32,32]"]
    if backbone:
        size = BACKBONES[backbone].smallest
        typed += [f"model.backbone={backbone}", "model.weights=null", f"model.input_size={size}"]
    else:
        smallest = composed(f"model={name}", "dataset=synthetic", "dataset.image_size=[512,512]").model.smallest_input
        typed += [f"model.input_size={smallest}"] if smallest > 32 else []
    config = composed(*typed)
    fitting.seed_everything(1)
    model = models.build_model(config.model, config.dataset.input_shape, len(NAMES))
    images = np.random.default_rng(1).integers(0, 256, (IMAGES, *config.dataset.input_shape)).astype(np.uint8)
    _spread(model, images)
    expected = models.predict(model, images)
    found: dict[str, float | str] = {}
    for format_name in EXPORTS:
        try:
            content = exporting.convert_model(model, format_name, images, NAMES)
            with TemporaryDirectory() as folder:
                found[format_name] = _difference(Path(folder), format_name, content, images, expected)
        except ModelFileError as error:  # it cannot be converted, or the file cannot be run
            found[format_name] = str(error)
    return found


def _spread(model: keras.Model, images: np.ndarray) -> None:
    """Scale the last weights until the probabilities of the classes differ, as they do after a training.

    Without training the activations of a deep network vanish, and every class gets the same probability.
    """
    classifier = model.get_layer("probabilities")
    features = np.asarray(keras.Model(model.input, classifier.input)(images, training=False))
    kernel, bias = classifier.get_weights()
    classifier.set_weights([kernel * 3 / abs(features @ kernel).max(), bias])


def _difference(folder: Path, format_name: str, content: bytes, images: np.ndarray, expected: np.ndarray) -> float:
    facts = {"input_shape": images.shape[1:], "class_names": NAMES, "resize_mode": "crop", "converts": True}
    facts |= {"model": "", "run_id": "", "model_uri": None, "model_sha256": "", "versions": {}}
    manifest = exporting.write_export(folder / "file", content, format=format_name, **facts)
    exported = exporting.open_export(folder / "file" / manifest.file)
    return float(abs(exported.probabilities(images) - expected).max())


def row(network: str) -> str:
    """The line of the table for a network."""
    cells = [value if isinstance(value, str) else f"{value:.1g}" for value in differences(network).values()]
    return f"| `{network.replace(' ', '` `')}` | {' | '.join(cells)} |"


if __name__ == "__main__":
    for each in NETWORKS:
        print(row(each), flush=True)
