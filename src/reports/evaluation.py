"""What scoring a model leaves behind in its run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support

from src import datasets, figures, fitting, tracking
from src.errors import NotKept
from src.tables import read_table

PREDICTIONS = "tables/test_predictions.csv"
COLUMNS = ("index", "file", "label", "class", "predicted", "predicted_class", "score", "label_score")
MAX_NAMED = 5  # classes in a warning; the tables of a run have them all


def record_evaluation(
    run: tracking.Run, dataset: datasets.Dataset, scores: fitting.Scores, step: int
) -> dict[str, float]:
    """Puts test metrics, confusion matrix, worst mistakes, per-class figures and every prediction into the run.

    Returns:
        `test_loss` and `test_accuracy`.
    """
    labels, predicted = dataset.test.labels, scores.probabilities.argmax(axis=1)
    metrics = {"test_loss": scores.loss, "test_accuracy": scores.accuracy}
    run.log_new_metrics(metrics, step)

    confusion = figures.confusion_data(labels, predicted, dataset.class_names)
    run.log_figure("figures/confusion_matrix.png", figures.plot_confusion(confusion))
    files = dataset.test_files
    mistakes = figures.worst_mistakes_data(labels, scores.probabilities, dataset.class_names, files=files)
    if mistakes:
        run.log_figure("figures/worst_mistakes.png", figures.plot_mistakes(mistakes, dataset.test.images))

    by_class = precision_recall_fscore_support(
        labels, predicted, labels=range(len(dataset.class_names)), zero_division=0.0
    )
    run.log_table(
        "tables/per_class.csv",
        ("class", "precision", "recall", "f1", "images"),
        [
            (name, f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}", int(count))
            for name, precision, recall, f1, count in zip(dataset.class_names, *by_class, strict=True)
        ],
    )
    names = dataset.class_names
    run.log_table(
        PREDICTIONS,
        COLUMNS,
        [
            (
                index,
                files[index] if files else "",
                int(label),
                names[label],
                int(guess),
                names[guess],
                f"{row[guess]:.6f}",
                f"{row[label]:.6f}",
            )
            for index, (label, guess, row) in enumerate(zip(labels, predicted, scores.probabilities, strict=True))
        ],
    )
    if warnings := unrecognized_classes(dataset, scores):
        run.set_tags({tracking.UNRECOGNIZED: warnings[0]})  # so that a run that is reused can repeat it
    return metrics


def unrecognized_classes(dataset: datasets.Dataset, scores: fitting.Scores) -> list[str]:
    """Return a warning that names the classes of which no test image was recognized; an empty list without any."""
    labels, predicted, count = dataset.test.labels, scores.probabilities.argmax(axis=1), len(dataset.class_names)
    images, recognized, guesses = (
        np.bincount(these, minlength=count) for these in (labels, labels[labels == predicted], predicted)
    )
    missed = np.flatnonzero((images > 0) & (recognized == 0))
    if not len(missed):
        return []
    named = [repr(dataset.class_names[at]) + (" (never predicted)" if not guesses[at] else "") for at in missed]
    more = f" and {len(missed) - MAX_NAMED} more" if len(missed) > MAX_NAMED else ""
    return [
        f"recall is 0 for {len(missed)} of {count} classes (no test image of theirs was recognized): "
        f"{', '.join(named[:MAX_NAMED])}{more}. See tables/per_class.csv of the run; if a class has few training "
        "images, try training.class_weights=balanced"
    ]


class Predictions(NamedTuple):
    """What a run's model predicted for each of n test images; `scores` are the probabilities of the predictions."""

    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


def read_predictions(run: tracking.Run) -> Predictions | None:
    """The test predictions that the run keeps, None when it was not scored."""
    try:
        with run.reading(PREDICTIONS) as file:
            rows = read_table(file)
    except NotKept:
        return None
    return Predictions(
        np.array([row["label"] for row in rows], int),
        np.array([row["predicted"] for row in rows], int),
        np.array([row["score"] for row in rows], float),
    )
