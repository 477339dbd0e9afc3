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


def places(figure: Figure) -> list[tuple[int, int]]:
    """The row and the column of each image, counted among those that hold an image."""
    centres = [tuple(round(float(each), 3) for each in centre(image)) for image in images(figure)]
    across, down = (sorted(set(each)) for each in zip(*centres, strict=True))
    return [(down.index(y), across.index(x)) for x, y in centres]


def above(figure: Figure) -> list[list[str]]:
    """The lines of text above each image, upper ones first."""
    found = []
    for image in images(figure):
        (x, _), top = centre(image), image.get_extent()[3]
        lines = [(text.get_position(), text.get_text()) for text in image.axes.texts]
        near = [(y, text) for (at, y), text in lines if abs(at - x) < 0.01 and 0 < top - y < 0.3]
        found.append([text for _, text in sorted(near)])
    return found


def centre(image: Any) -> tuple[float, float]:
    left, right, bottom, top = image.get_extent()
    return (left + right) / 2, (bottom + top) / 2


def values(figure: Figure) -> list[Any]:
    """What these images show."""
    return [np.asarray(image.get_array()).tolist() for image in images(figure)]
