"""Single images with their true and predicted classes."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.board import Board, Images, grid_shape
from src.figures.colors import BLUE, RED
from src.results import short_name

Labels = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.floating]


class Prediction(NamedTuple):
    """A test image with its true and its predicted class.

    Attributes:
        image: the index of the image in the split.
        true, predicted: the names of the classes.
        score, true_score: the probabilities of the predicted and of the true class.
        file: the file of the image, None for an image without its own file.
    """

    image: int
    true: str
    predicted: str
    score: float
    true_score: float
    file: str | None = None

    @property
    def name(self) -> str:
        """The file of the image, or `#787` from its index."""
        return image_name(self.image, self.file)


def image_name(index: int, file: str | None) -> str:
    """Return the file of an image, or `#787` from its index in the split."""
    return f"#{index}" if file is None else file


def worst_mistakes_data(
    labels: Labels,
    probabilities: Probabilities,
    class_names: Sequence[str],
    max_count: int = 25,
    files: Sequence[str] | None = None,
) -> list[Prediction]:
    """Return the wrong predictions with the highest scores, in descending order."""
    predicted, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-scores[wrong], kind="stable")][:max_count]
    return _predictions(surest, labels, probabilities, class_names, files)


def right_predictions_data(
    labels: Labels,
    probabilities: Probabilities,
    class_names: Sequence[str],
    max_count: int,
    files: Sequence[str] | None = None,
) -> list[Prediction]:
    """Return the first right prediction of each class, in the order of the split."""
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    _, firsts = np.unique(labels[right], return_index=True)
    return _predictions(right[np.sort(firsts)][:max_count], labels, probabilities, class_names, files)


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
            int(index),
            class_names[labels[index]],
            class_names[predicted[index]],
            float(probabilities[index, predicted[index]]),
            float(probabilities[index, labels[index]]),
            None if files is None else files[index],
        )
        for index in images
    ]


def plot_mistakes(mistakes: Sequence[Prediction], images: Images) -> Figure:
    """Draw each image with its predicted and its true class and their probabilities."""
    rows, columns = grid_shape(len(mistakes))
    name = "file" if mistakes and mistakes[0].file is not None else "index in the test split"
    title = f"worst mistakes: predicted class, true class, {name}"
    board = Board(title, columns, [2] * rows, cell=1.9, text_width=text_width(mistakes))
    for index, mistake in enumerate(mistakes):
        show_prediction(board, *divmod(index, columns), mistake, images)
    return board.figure


def plot_label_issues(issues: Sequence[Prediction], images: Images, total: int) -> Figure:
    """Draw each image with the class that the model predicts, and the class of its label, which may be wrong.

    Args:
        issues: the images to draw; `true` is the class of the label.
        images: uint8, (n, height, width, channels), in which the issues have their indices.
        total: the number of labels that are contradicted.
    """
    rows, columns = grid_shape(len(issues))
    of_all = f" of {total:,}" if total > len(issues) else ""
    title = f"{len(issues)}{of_all} labels that the model contradicts: predicted class, label"
    lines = [
        (
            f"{issue.predicted} ({issue.score:.2f})",
            f"label {issue.true} ({issue.true_score:.2f}), {short_name(issue.name)}",
        )
        for issue in issues
    ]
    width = 0.066 * max((len(line) for _, line in lines), default=0)
    board = Board(title, columns, [2] * rows, cell=1.9, text_width=width)
    for index, (issue, (predicted, label)) in enumerate(zip(issues, lines, strict=True)):
        row, column = divmod(index, columns)
        board.show(row, column, images[issue.image])
        board.write(row, column, predicted, line=1, color=RED, fontsize=9)
        board.write(row, column, label, fontsize=8)
    return board.figure


def text_width(predictions: Sequence[Prediction]) -> float:
    """Return the width in inches of the longest line above the images; an average letter is 0.066 inches wide."""
    return 0.066 * max((len(_true_class(prediction)) for prediction in predictions), default=0)


def show_prediction(board: Board, row: int, column: int, prediction: Prediction, images: Images) -> None:
    """Draw the image, and above it the predicted and the true class with their probabilities."""
    board.show(row, column, images[prediction.image])
    color = BLUE if prediction.predicted == prediction.true else RED
    board.write(row, column, f"{prediction.predicted} ({prediction.score:.2f})", line=1, color=color, fontsize=9)
    board.write(row, column, _true_class(prediction), fontsize=8)


def _true_class(prediction: Prediction) -> str:
    return f"is {prediction.true} ({prediction.true_score:.2f}), {short_name(prediction.name)}"
