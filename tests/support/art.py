"""Small networks and pictures for tests of `src.art`."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import ExifTags, Image

from src.models.layers import pixels, probabilities


def small_network(channels: int = 3, size: int | None = None) -> keras.Model:
    """Three convolutions with pooling and a classifier that needs maps of one size, on 24x24 images."""
    keras.utils.set_random_seed(1)
    inputs, maps = pixels((24, 24, channels), size)
    for index, filters in enumerate((4, 6, 8)):
        maps = layers.Conv2D(filters, 3, padding="same", name=f"conv_{index}")(maps)
        maps = layers.BatchNormalization(name=f"bn_{index}")(maps)
        maps = layers.Activation("relu", name=f"relu_{index}")(maps)
        maps = layers.AveragePooling2D(2, name=f"pool_{index}")(maps)
    return keras.Model(inputs, probabilities(layers.Flatten()(maps), 3), name="small")


def put_picture(file: Path, height: int = 30, width: int = 40, seed: int = 0) -> Path:
    """A smooth color picture with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((width, height))
    values = np.asarray(coarse).astype(int) + rng.integers(-20, 21, (height, width, 3))
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(file)
    return file


def peak_memory(work: Callable[[], object]) -> int:
    """The most bytes that Python and NumPy hold at once during the work; TensorFlow's are not counted."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def put_kinds(folder: Path) -> dict[str, Path]:
    """Pictures that cameras and drawing programs make, upright 30x40, and dark in the left half."""
    values = np.full((30, 40), 255, np.uint8)
    values[:, :20] = 51
    gray = Image.fromarray(values)
    files = {kind: folder / f"{kind}.png" for kind in ("rgba", "16_bits", "gray")}
    turned = files["turned"] = folder / "turned.jpg"
    rgba = np.zeros((30, 40, 4), np.uint8)  # transparent black is shown as white
    rgba[:, :20] = (51, 51, 51, 255)
    Image.fromarray(rgba).save(files["rgba"])
    Image.fromarray(values.astype(np.uint16) * 257).save(files["16_bits"])
    gray.save(files["gray"])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # the camera was held upright: turn clockwise to show it
    gray.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif, quality=100)
    return files
