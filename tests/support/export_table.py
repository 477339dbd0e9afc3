"""Convert every network to every format, with untrained weights.

python -m tests.support.export_table     write the table of docs/export.md; this takes up to half an hour
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np

from src import datasets, exporting, fitting, models
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
DOCUMENT = ROOT / "docs/export.md"
QUANTIZED, CONVERTED = ("litert_int8",), "yes"
BEGIN, END = "<!-- exports -->\n", "<!-- end: exports -->"
IMAGES = 64  # digits to compare; also those that quantization is calibrated with


def outcomes(network: str) -> dict[str, float | str]:
    """Return the result of exporting a network to each format.

    Args:
        network: one of `NETWORKS`.

    Returns:
        For a format with float32 weights, the largest difference between the probabilities of the network and of its
        file, from 0 to 1. For an 8-bit format, `CONVERTED` if the file gives probabilities; without training they say
        nothing about its accuracy. If the export fails, the error message.
    """
    name, _, backbone = network.partition(" ")
    typed = [f"model={name}", "dataset=mnist", "dataset.source=sample"]
    if backbone:
        size = BACKBONES[backbone].smallest
        typed += [f"model.backbone={backbone}", "model.weights=null", f"model.input_size={size}"]
    else:
        smallest = composed(f"model={name}", "dataset=synthetic", "dataset.image_size=[512,512]").model.smallest_input
        typed += [f"model.input_size={max(smallest, 32)}"] if smallest > 28 else []
    config = composed(*typed)
    fitting.seed_everything(1)
    model = models.build_model(config.model, config.dataset.input_shape, len(NAMES))
    images = datasets.load_dataset(config.dataset).train.images[np.arange(IMAGES)]
    _normalize(model, images)
    _spread(model, images)
    expected = models.predict(model, images)
    found: dict[str, float | str] = {}
    for format_name in EXPORTS:
        try:
            content = exporting.convert_model(model, format_name, images, NAMES)
            with TemporaryDirectory() as folder:
                given = _probabilities(Path(folder), format_name, content, images)
            found[format_name] = _outcome(format_name, given, expected)
        except ModelFileError as error:  # it cannot be converted, or the file cannot be run
            found[format_name] = str(error)
    return found


def _normalize(model: keras.Model, images: np.ndarray) -> None:
    """Give each batch normalization the statistics of these images, as a training does.

    Without them the activations of a deep network nearly vanish, and 8-bit integers cannot represent them.
    """
    for layer in model.layers:
        layer.trainable = True
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0
    model(images, training=True)


def _spread(model: keras.Model, images: np.ndarray) -> None:
    """Scale the last weights until the probabilities of the classes differ, as they do after a training."""
    classifier = model.get_layer("probabilities")
    features = np.asarray(keras.Model(model.input, classifier.input)(images, training=False))
    kernel, bias = classifier.get_weights()
    classifier.set_weights([kernel * 3 / abs(features @ kernel).max(), bias])


def _probabilities(folder: Path, format_name: str, content: bytes, images: np.ndarray) -> np.ndarray:
    facts = {"input_shape": images.shape[1:], "class_names": NAMES, "resize_mode": "crop", "converts": True}
    facts |= {"model": "", "run_id": "", "model_uri": None, "model_sha256": "", "versions": {}}
    manifest = exporting.write_export(folder / "file", content, format=format_name, **facts)
    return exporting.open_export(folder / "file" / manifest.file).probabilities(images)


def _outcome(format_name: str, given: np.ndarray, expected: np.ndarray) -> float | str:
    if format_name not in QUANTIZED:
        return float(abs(given - expected).max())
    return CONVERTED if np.allclose(given.sum(axis=1), 1, atol=0.02) else "the file gives no probabilities"


def row(network: str) -> str:
    """The line of the table for a network."""
    cells = [value if isinstance(value, str) else f"{value:.1g}" for value in outcomes(network).values()]
    return f"| `{network.replace(' ', '` `')}` | {' | '.join(cells)} |"


def documented() -> dict[str, dict[str, str]]:
    """Return the cells of the table in docs/export.md, by network and format."""
    lines = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {name.replace("`", ""): dict(zip(EXPORTS, cells, strict=True)) for name, *cells in rows}


def write(rows: Sequence[str]) -> None:
    """Put these lines into the table of docs/export.md."""
    before, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    heading = f"| network | {' | '.join(f'`{name}`' for name in EXPORTS)} |\n{'|---' * (1 + len(EXPORTS))}|"
    _, end, after = rest.partition(END)
    assert begin
    assert end
    DOCUMENT.write_text("".join([before, begin, "\n".join([heading, *rows, ""]), end, after]), encoding="utf-8")


def main() -> None:
    """Export every network, print each row when it is complete, and write the table."""
    exporting.check_converters(list(EXPORTS))
    rows = []
    for network in NETWORKS:
        rows.append(row(network))
        print(rows[-1], flush=True)
    write(rows)


if __name__ == "__main__":
    main()
