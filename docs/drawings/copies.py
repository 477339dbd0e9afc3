"""An example of near copies: test images that are copies of training images, one of them with another label."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from src.cli.compose import compose_config
from src.datasets import Dataset, Split, load_dataset
from src.reports import check_dataset_contents
from src.reports.data_check import PAIRS

Pixels = npt.NDArray[np.uint8]  # height, width
SOURCES = (3, 8, 17, 22)  # training images of the bundled digits


def _compressed(pixels: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file))


def _noisy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 12, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


COPIES: tuple[Callable[[Pixels], Pixels], ...] = (
    lambda pixels: np.roll(pixels, 1, axis=1),  # moved by a pixel
    lambda pixels: np.clip(pixels * 1.3, 0, 255).astype(np.uint8),
    _compressed,
    _noisy,
)


def digits_with_copies() -> Dataset:
    """Return the bundled digits, whose first test images are near copies of training images.

    The last of the copies has another label.
    """
    dataset = load_dataset(compose_config(["dataset.source=sample"]).dataset)
    images, labels = dataset.test.images.copy(), dataset.test.labels.copy()
    for place, (source, copy) in enumerate(zip(SOURCES, COPIES, strict=True)):
        images[place, ..., 0] = copy(dataset.train.images[source, ..., 0])
        labels[place] = dataset.train.labels[source]
    labels[len(SOURCES) - 1] = (labels[len(SOURCES) - 1] + 1) % 10
    return replace(dataset, test=Split(images, labels))


def draw_copies() -> Figure:
    """Return the contact sheet of the pairs that `src.check_data` finds in these digits."""
    figure: Figure = check_dataset_contents(digits_with_copies(), []).report.figures[PAIRS]
    return figure


def texts_of(figure: Figure) -> str:
    """Return all texts of the figure, one on each line."""
    return "\n".join(text.get_text() for text in figure.axes[0].texts)
