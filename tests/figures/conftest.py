"""Figures taken apart: their axes, their texts, the file that they become."""

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

GRAY = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)


def visible(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_visible()]


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def images(figure: Figure) -> list[Any]:
    """Every image of the picture, in the order in which they were drawn."""
    return [image for axes in figure.axes for image in axes.images]


def values(figure: Figure) -> list[Any]:
    """What these images show."""
    return [np.asarray(image.get_array()).tolist() for image in images(figure)]
