"""Single images and what the model takes them for."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.colours import BLUE, RED
from src.figures.grid import Images, grid, show

Labels = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.floating]


class Prediction(NamedTuple):
    """An image by its place in the split, its class and the one it was taken for, and what the model gave to each."""

    image: int
    true: str
    predicted: str
    score: float
    true_score: float


def worst_mistakes_data(
    labels: Labels, probabilities: Probabilities, class_names: Sequence[str], most: int = 25
) -> list[Prediction]:
    """The wrong predictions that the model was most sure of, surest first."""
    predicted, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-scores[wrong], kind="stable")][:most]
    return _predictions(surest, labels, probabilities, class_names)


def right_predictions_data(
    labels: Labels, probabilities: Probabilities, class_names: Sequence[str], most: int
) -> list[Prediction]:
    """The first right prediction of each class, in the order of the split: as many different classes as there are."""
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    _, firsts = np.unique(labels[right], return_index=True)
    return _predictions(right[np.sort(firsts)][:most], labels, probabilities, class_names)


def _predictions(
    images: Iterable[int], labels: Labels, probabilities: Probabilities, class_names: Sequence[str]
) -> list[Prediction]:
    predicted = probabilities.argmax(axis=1)
    return [
        Prediction(
            int(at),
            class_names[labels[at]],
            class_names[predicted[at]],
            float(probabilities[at, predicted[at]]),
            float(probabilities[at, labels[at]]),
        )
        for at in images
    ]


def plot_mistakes(mistakes: Sequence[Prediction], images: Images) -> Figure:
    """Each image with what it was taken for, how surely, and what it is."""
    figure = grid(
        len(mistakes), "worst mistakes: what it was taken for, what it is, its place in the test split", cell=1.9
    )
    for axes, mistake in zip(figure.axes, mistakes, strict=False):
        show(axes, images[mistake.image])
        label(axes, mistake)
    return figure


def label(axes: Any, prediction: Prediction) -> None:
    """Above an image, what it was taken for, how surely, and what it is."""
    colour = BLUE if prediction.predicted == prediction.true else RED
    text = f"{prediction.predicted} ({prediction.score:.2f})"
    axes.set_title(text, color=colour, fontsize=9, pad=14, parse_math=False)
    text = f"is {prediction.true} ({prediction.true_score:.2f}), #{prediction.image}"
    place = {"transform": axes.transAxes, "ha": "center", "va": "bottom"}
    axes.text(0.5, 1.01, text, fontsize=8, parse_math=False, **place)
