"""Metrics, figures and tables of a test split that was scored."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from src import datasets, figures, fitting, inspection, tracking
from src.errors import NotKept, StoreError
from src.reports.probabilities import PROBABILITIES
from src.results import ClassScore
from src.schema import METRICS, Config, OwnDataConfig, TrainingConfig
from src.tables import read_rows, read_table

PREDICTIONS = "tables/test_predictions.csv"
PREDICTION_COLUMNS = ("index", "file", "label", "class", "predicted", "predicted_class", "score", "label_score")
MAX_NAMED = 5  # classes in a warning; the tables of a run have them all


def record_evaluation(
    run: tracking.Run, dataset: datasets.Dataset, scores: fitting.Scores, step: int
) -> dict[str, float]:
    """Record test metrics, the scores of each class and every prediction.

    Args:
        run: where they are recorded.
        dataset: its test split was scored.
        scores: of the test split.
        step: the epoch that the metrics belong to.

    Returns:
        The test metrics.
    """
    run.log_new_metrics(scores.test_metrics, step)
    _record_classes(run, dataset, scores)
    _record_predictions(run, dataset, scores)
    run.log_array(PROBABILITIES, scores.probabilities)
    if warnings := unrecognized_classes(dataset, scores):
        run.set_tags({tracking.UNRECOGNIZED: warnings[0]})  # so that a run that is reused can repeat it
    return scores.test_metrics


def record_evaluation_figures(run: tracking.Run, dataset: datasets.Dataset, scores: fitting.Scores) -> None:
    """Record pictures of the confusion matrix and of the worst mistakes if there are any."""
    labels, names = dataset.test.labels, dataset.class_names
    confusion = figures.confusion_data(labels, scores.probabilities.argmax(axis=1), names)
    run.log_figure("figures/confusion_matrix.png", figures.plot_confusion(confusion))
    mistakes = figures.worst_mistakes_data(labels, scores.probabilities, names, files=dataset.test_files)
    if mistakes:
        run.log_figure("figures/worst_mistakes.png", figures.plot_mistakes(mistakes, dataset.test.images))


def _record_classes(run: tracking.Run, dataset: datasets.Dataset, scores: fitting.Scores) -> None:
    rows = [found.cells() for found in class_scores(dataset, scores)]
    run.log_table("tables/per_class.csv", ("class", "precision", "recall", "f1", "images"), rows)


def _record_predictions(run: tracking.Run, dataset: datasets.Dataset, scores: fitting.Scores) -> None:
    rows = prediction_rows(dataset.test.labels, scores.probabilities, dataset.class_names, dataset.test_files)
    run.log_table(PREDICTIONS, PREDICTION_COLUMNS, rows)


def class_scores(dataset: datasets.Dataset, scores: fitting.Scores) -> list[ClassScore]:
    """Return precision, recall, F1 score and number of test images of each class, in the order of the classes.

    A share of nothing is 0, such as the precision of a class that was never predicted.
    """
    labels, answers, names = dataset.test.labels, scores.probabilities.argmax(axis=1), dataset.class_names
    images, answered, right = (
        np.bincount(found, minlength=len(names)) for found in (labels, answers, labels[labels == answers])
    )
    shares = zip(_shares(right, answered), _shares(right, images), _shares(2 * right, images + answered), strict=True)
    return [ClassScore(name, *values, int(count)) for name, values, count in zip(names, shares, images, strict=True)]


def _shares(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> list[float]:
    return [float(share) for share in np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)]


def absent_classes(dataset: datasets.Dataset, metrics: Collection[str], splits: Collection[str]) -> list[str]:
    """Return a warning that names the classes without images in a split, or an empty list.

    Args:
        dataset: its splits are counted.
        metrics: those that are recorded. A warning is only given if one of them is a mean of classes.
        splits: the names of the splits that are scored.
    """
    means = [name for name in metrics if METRICS[name].is_mean_of_classes]
    scored = {"validation": dataset.validation, "test": dataset.test}
    found = [
        f"the {name} split has no images of {absent}"
        for name in splits
        if means and (absent := _describe_absent(scored[name], dataset.class_names))
    ]
    return [f"{'; '.join(found)}: {', '.join(means)} do not measure how these are recognized"] if found else []


def unbalanced_classes(dataset: datasets.Dataset, config: Config) -> list[str]:
    """Return a warning about a user's own data with many more training images of one class than of another.

    The list is empty if the settings weigh the classes, and for published data sets.
    """
    if not isinstance(config.dataset, OwnDataConfig) or config.training.class_weights is not None:
        return []
    found = inspection.describe_unbalanced({name: train for name, train, _, _ in dataset.class_counts()})
    if not found:
        return []
    remedies = [] if config.augmentation.mixed_by else [inspection.WEIGH_CLASSES]
    if config.training.monitor == TrainingConfig.monitor and config.has_monitor:
        remedies.append(inspection.JUDGE_CLASSES)
    return ["; ".join([found, *remedies])]


def _describe_absent(split: datasets.Split | None, names: list[str]) -> str:
    """Return the names of the classes without images in the split, of many the first ones."""
    if split is None:
        return ""
    absent = [repr(names[label]) for label in np.flatnonzero(np.bincount(split.labels, minlength=len(names)) == 0)]
    more = f" and {len(absent) - MAX_NAMED} more" if len(absent) > MAX_NAMED else ""
    return ", ".join(absent[:MAX_NAMED]) + more


def unrecognized_classes(dataset: datasets.Dataset, scores: fitting.Scores) -> list[str]:
    """Return a warning that names the classes of which no test image was recognized, or an empty list."""
    labels, predicted, count = dataset.test.labels, scores.probabilities.argmax(axis=1), len(dataset.class_names)
    images, recognized, guesses = (
        np.bincount(group, minlength=count) for group in (labels, labels[labels == predicted], predicted)
    )
    missed = np.flatnonzero((images > 0) & (recognized == 0))
    if not len(missed):
        return []
    named = [repr(dataset.class_names[label]) + ("" if guesses[label] else " (never predicted)") for label in missed]
    more = f" and {len(missed) - MAX_NAMED} more" if len(missed) > MAX_NAMED else ""
    return [
        f"recall is 0 for {len(missed)} of {count} classes (none of their test images was recognized): "
        f"{', '.join(named[:MAX_NAMED])}{more}. See tables/per_class.csv of the run; if a class has few training "
        "images, try training.class_weights=balanced"
    ]


def prediction_rows(
    labels: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.float32],
    class_names: list[str],
    files: list[str] | None,
) -> list[tuple[object, ...]]:
    """Return the row of each image in a table of predictions, with the columns `PREDICTION_COLUMNS`.

    Args:
        labels: (n,).
        probabilities: (n, classes).
        class_names: one for each label.
        files: the path of each image, None for a published data set.
    """
    rows: list[tuple[object, ...]] = []
    for index, (label, scores) in enumerate(zip(labels, probabilities, strict=True)):
        predicted = int(scores.argmax())
        of_classes = f"{scores[predicted]:.6f}", f"{scores[label]:.6f}"
        file = files[index] if files else ""
        rows.append((index, file, int(label), class_names[label], predicted, class_names[predicted], *of_classes))
    return rows


class Predictions(NamedTuple):
    """The stored predictions of a model for n test images; `scores` are the probabilities of the predicted classes."""

    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


def read_predictions(run: tracking.Run) -> Predictions | None:
    """Return the test predictions that are stored in the run; None for a run that was not scored."""
    try:
        with run.reading(PREDICTIONS) as file:
            rows = read_table(file)
            if not rows and "label" not in read_rows(file)[0]:
                raise KeyError("label")
        return Predictions(
            np.array([row["label"] for row in rows], int),
            np.array([row["predicted"] for row in rows], int),
            np.array([row["score"] for row in rows], float),
        )
    except NotKept:
        return None
    except (LookupError, ValueError) as error:
        raise StoreError(
            f"run {run.run_id}: {PREDICTIONS} is damaged ({error}); create it again with "
            f"python -m src.evaluate run_id={run.run_id}"
        ) from error
