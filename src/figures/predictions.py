"""Single images and what the model takes them for."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Images, printable, square
from src.figures.colours import BLUE, RED

Labels = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.floating]


MAX_NAME = 28  # characters of an image's name in a title


class Prediction(NamedTuple):
    """A test image, its class and the one it was taken for.

    Attributes:
        image: its place in the split.
        true, predicted: names of classes.
        score, true_score: the model's probabilities for these classes.
        file: where the image came from, None where it did not come from a file of its own.
    """

    image: int
    true: str
    predicted: str
    score: float
    true_score: float
    file: str | None = None

    @property
    def name(self) -> str:
        """The image's file, or `#787` by its place."""
        return image_name(self.image, self.file)


def image_name(place: int, file: str | None) -> str:
    """An image's file, or `#787` by its place in the split."""
    return f"#{place}" if file is None else file


def short_name(name: str) -> str:
    """Return a name that fits on one line of a title: a long one is cut to its end, where files differ."""
    shown = printable(name)
    return shown if len(shown) <= MAX_NAME else "\N{HORIZONTAL ELLIPSIS}" + shown[1 - MAX_NAME :]


def worst_mistakes_data(
    labels: Labels,
    probabilities: Probabilities,
    class_names: Sequence[str],
    most: int = 25,
    files: Sequence[str] | None = None,
) -> list[Prediction]:
    """The wrong predictions that the model was most sure of, surest first."""
    predicted, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-scores[wrong], kind="stable")][:most]
    return _predictions(surest, labels, probabilities, class_names, files)


def right_predictions_data(
    labels: Labels,
    probabilities: Probabilities,
    class_names: Sequence[str],
    most: int,
    files: Sequence[str] | None = None,
) -> list[Prediction]:
    """The first right prediction of each class, in the order of the split: as many different classes as there are."""
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    _, firsts = np.unique(labels[right], return_index=True)
    return _predictions(right[np.sort(firsts)][:most], labels, probabilities, class_names, files)


def _predictions(
    images: Iterable[int],
    labels: Labels,
    probabilities: Probabilities,
    class_names: Sequence[str],
    files: Sequence[str] | None,
) -> list[Prediction]:
    predicted = probabilities.argmax(axis=1)
    return [
        Prediction(
            int(at),
            class_names[labels[at]],
            class_names[predicted[at]],
            float(probabilities[at, predicted[at]]),
            float(probabilities[at, labels[at]]),
            None if files is None else files[at],
        )
        for at in images
    ]


def plot_mistakes(mistakes: Sequence[Prediction], images: Images) -> Figure:
    """Each image with what it was taken for, how surely, and what it is."""
    rows, columns = square(len(mistakes))
    where = "its file" if mistakes and mistakes[0].file is not None else "its place in the test split"
    title = f"worst mistakes: what it was taken for, what it is, {where}"
    board = Board(title, columns, [2] * rows, cell=1.9, words=words(mistakes))
    for at, mistake in enumerate(mistakes):
        show_prediction(board, *divmod(at, columns), mistake, images)
    return board.figure


def words(predictions: Sequence[Prediction]) -> float:
    """Inches that the longest line above them takes."""
    return 0.066 * max((len(_is(prediction)) for prediction in predictions), default=0)


def show_prediction(board: Board, row: int, column: int, prediction: Prediction, images: Images) -> None:
    """The image; above it what it was taken for, how surely, and what it is."""
    board.show(row, column, images[prediction.image])
    colour = BLUE if prediction.predicted == prediction.true else RED
    board.write(row, column, f"{prediction.predicted} ({prediction.score:.2f})", line=1, color=colour, fontsize=9)
    board.write(row, column, _is(prediction), fontsize=8)


def _is(prediction: Prediction) -> str:
    return f"is {prediction.true} ({prediction.true_score:.2f}), {short_name(prediction.name)}"
