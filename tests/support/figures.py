"""Figures taken apart: their axes, their texts, the file that they become."""

import io
import itertools
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
    centers = [tuple(round(float(each), 3) for each in center(image)) for image in images(figure)]
    across, down = (sorted(set(each)) for each in zip(*centers, strict=True))
    return [(down.index(y), across.index(x)) for x, y in centers]


def above(figure: Figure) -> list[list[str]]:
    """The lines of text above each image, upper ones first."""
    found = []
    for image in images(figure):
        (x, _), top = center(image), image.get_extent()[3]
        lines = [(text.get_position(), text.get_text()) for text in image.axes.texts]
        near = [(y, text) for (at, y), text in lines if abs(at - x) < 0.01 and 0 < top - y < 0.3]
        found.append([text for _, text in sorted(near)])
    return found


def center(image: Any) -> tuple[float, float]:
    left, right, bottom, top = image.get_extent()
    return (left + right) / 2, (bottom + top) / 2


def values(figure: Figure) -> list[Any]:
    """What these images show."""
    return [np.asarray(image.get_array()).tolist() for image in images(figure)]


def text_boxes(figure: Figure) -> list[tuple[str, Any]]:
    """Every text that the picture shows, with the box in pixels that it takes. Ticks outside of the axes are hidden."""
    figure.draw_without_rendering()
    found = []
    for axes in visible(figure):
        for axis, low, high in ((axes.xaxis, *axes.get_xlim()), (axes.yaxis, *axes.get_ylim())):
            low, high = sorted((low, high))
            ticks = axis.get_major_ticks() + axis.get_minor_ticks() if axis.get_visible() else []
            found += [label for tick in ticks if low <= tick.get_loc() <= high for label in (tick.label1, tick.label2)]
            found.append(axis.label)
        found += [axes.title, *axes.texts, *(axes.get_legend().get_texts() if axes.get_legend() else [])]
    found += [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_visible() and text.get_text()]


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of which one covers a part of the other, and texts that leave the picture, with `the edge`."""
    boxes = text_boxes(figure)
    inside = figure.bbox.padded(1)
    outside = [
        (text, "the edge")
        for text, box in boxes
        if not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))
    ]
    pairs = itertools.combinations(boxes, 2)
    return outside + [(one[0], other[0]) for one, other in pairs if one[1].padded(-0.5).overlaps(other[1].padded(-0.5))]
