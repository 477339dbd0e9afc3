"""The report about labels that a model contradicts with confidence, to review before they are changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from src import figures, fitting, inspection, tracking
from src.errors import ConfigError, NotKept, StoreError
from src.reports.data_page import DataReport, Section
from src.reports.probabilities import OUT_OF_FOLD, read_probabilities
from src.results import printable
from src.schema import DatasetConfig, TrackedModelConfig, TrackingConfig
from src.tables import read_table
from src.tracked import load_same_data, open_tracked_model, trained_config

PAGE = "labels.html"
PICTURE, TABLE = "label_issues.png", "label_issues.csv"
ISSUE_COLUMNS = ("index", "file", "label", "class", "predicted", "predicted_class", "score", "label_score")
MAX_DRAWN = 25
FOLDS, PREDICTIONS = "folds.csv", "tables/out_of_fold_predictions.csv"


class Predicted(NamedTuple):
    """Images with labels, and the predictions of a model that was not trained on them.

    Attributes:
        what: names them, such as `validation images`.
        indices: (n,), the number of each image among all of them.
        images: uint8, (n, height, width, channels).
        labels: (n,).
        probabilities: float32, (n, classes).
        files: the path of each image, None for images without files.
        class_names: one for each label.
    """

    what: str
    indices: npt.NDArray[np.int64]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.unsignedinteger]
    probabilities: npt.NDArray[np.float32]
    files: Sequence[str] | None
    class_names: list[str]


def read_predicted(store: TrackingConfig, run_id: str, data_dir: str | None) -> Predicted:
    """Return the predictions of a run for images that its model was not trained on.

    Those are all training images in a run of `pipelines.cross_validate`, and the validation split in other runs, which
    the model predicts now.

    Raises:
        ConfigError: the run has no validation split.
        DataError: the data cannot be found, or is not what the run was trained on.
        StoreError: the run does not exist, or keeps neither out-of-fold probabilities nor a model.
    """
    with tracking.resume_run(store, run_id=run_id) as run:
        if (found := _read_out_of_fold(run, store, data_dir)) is not None:
            return found
    with open_tracked_model(TrackedModelConfig(tracking=store, run_id=run_id)) as tracked:
        dataset = tracked.load_dataset(data_dir)
        if dataset.validation is None:
            raise ConfigError(
                f"run_id={run_id}: the run has no validation split, and a model agrees with the labels that it was "
                "trained on; use the run of python -m pipelines.cross_validate"
            )
        scores = fitting.score(tracked.load_model(), dataset.validation, tracked.config.loss)
    return Predicted(
        "validation images",
        np.arange(len(dataset.validation)),
        dataset.validation.images,
        dataset.validation.labels,
        scores.probabilities,
        dataset.validation_files,
        dataset.class_names,
    )


def _read_out_of_fold(run: tracking.Run, store: TrackingConfig, data_dir: str | None) -> Predicted | None:
    """Return the out-of-fold predictions of a cross-validation with their images; None for another run."""
    try:
        with run.reading(PREDICTIONS) as file:
            indices = np.array([int(row["index"]) for row in read_table(file)])
        with run.reading(FOLDS) as file:
            first = read_table(file)[0]["run_id"]
    except NotKept:
        return None
    except (LookupError, ValueError) as error:
        raise StoreError(
            f"run {run.run_id}: {PREDICTIONS} or {FOLDS} is damaged; run the cross-validation again"
        ) from error
    probabilities = read_probabilities(run, len(indices), OUT_OF_FOLD, "run the cross-validation again")
    if probabilities is None:
        raise StoreError(
            f"run {run.run_id} is of an earlier version and has no {OUT_OF_FOLD}; run the same cross-validation again, "
            "which reuses the folds that are trained"
        )
    with tracking.resume_run(store, run_id=first) as fold:
        dataset = load_same_data(fold, without_folds(trained_config(fold).dataset), data_dir)
    check_out_of_fold(run.run_id or "", indices, probabilities, len(dataset.train), len(dataset.class_names))
    files = dataset.train_files
    return Predicted(
        "training images of all folds",
        indices,
        dataset.train.images[indices],
        dataset.train.labels[indices],
        probabilities,
        files and [files[index] for index in indices],
        dataset.class_names,
    )


def check_out_of_fold(
    run_id: str, indices: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32], count: int, classes: int
) -> None:
    """Raise StoreError unless the indices are of `count` images, and there is a probability of each class."""
    if probabilities.shape[1] != classes or not ((indices >= 0) & (indices < count)).all():
        raise StoreError(
            f"run {run_id}: its out-of-fold predictions are not those of {count:,} training images in {classes} "
            "classes; run the cross-validation again"
        )


def without_folds(config: DatasetConfig) -> DatasetConfig:
    """Return the config of the same data, whose training images are those of all folds in the order of the source."""
    return replace(config, folds=None, fold=None, validation_size=0)


def issue_rows(
    issues: Sequence[inspection.LabelIssue],
    class_names: Sequence[str],
    indices: npt.NDArray[np.int64],
    files: Sequence[str] | None,
) -> list[tuple[object, ...]]:
    """Return the row of each issue in a table with the columns `ISSUE_COLUMNS`.

    Args:
        issues: the labels.
        class_names: one for each label.
        indices: (n,), the number of each image that was predicted.
        files: the path of each, None for images without files.
    """
    rows: list[tuple[object, ...]] = []
    for image, label, predicted, score, label_score in issues:
        names = class_names[label], class_names[predicted]
        file = files[image] if files else ""
        scores = f"{score:.6f}", f"{label_score:.6f}"
        rows.append((int(indices[image]), file, label, names[0], predicted, names[1], *scores))
    return rows


def check_labels(predicted: Predicted, run_id: str) -> DataReport:
    """Return the labels that the model contradicts with confidence, the least probable labels first."""
    names, files, indices = predicted.class_names, predicted.files, predicted.indices
    issues = inspection.find_label_issues(predicted.labels, predicted.probabilities)
    shown = [
        figures.Prediction(
            image,
            names[label],
            names[other],
            score,
            label_score,
            files[image] if files else f"#{indices[image]}",
        )
        for image, label, other, score, label_score in issues
    ]
    rows = [
        (*map(printable, (each.name, each.true, each.predicted)), f"{each.score:.4f}", f"{each.true_score:.4f}")
        for each in shown
    ]
    count = f"{len(issues):,} label{'s' * (len(issues) != 1)}"
    title = f"run {run_id}: the model contradicts {count} of {len(predicted.labels):,} {predicted.what}"
    note = (
        "Look at each image before you change its label: the model may be wrong. Confident learning (Northcutt et al. "
        "2021) estimates how many labels of each class are wrong. The table has the ones with the lowest probabilities."
    )
    columns = ("image", "label", "predicted", "probability", "label's probability")
    drawings = {PICTURE: figures.plot_label_issues(shown[:MAX_DRAWN], predicted.images, len(shown))} if shown else {}
    section = Section("labels to review", columns, rows, note, PICTURE if shown else None, TABLE)
    table = (ISSUE_COLUMNS, issue_rows(issues, names, indices, files))
    return DataReport(PAGE, title, [], [section], drawings, {TABLE: table}, [PICTURE, TABLE])
