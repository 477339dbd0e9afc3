"""Scoring a tracked model on its test split; what is found goes back into the run.

python -m src.evaluate run_id=RUN
python -m src.evaluate model_uri=models:/NAME@champion
"""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from src.cli.command import entry_point
from src.cli.compose import config_from_dict
from src.errors import DataError, NotKept
from src.process.imports import heavy_imports
from src.results import EvaluationResult
from src.schema import Config, DatasetConfig, EvaluateConfig, IdxConfig
from src.tables import read_table

if TYPE_CHECKING:
    import keras
    import numpy as np
    import numpy.typing as npt

    from src.datasets import Dataset
    from src.fitting import Scores
    from src.tracking import Run

PREDICTIONS = "tables/test_predictions.csv"
COLUMNS = ("index", "file", "label", "class", "predicted", "predicted_class", "score", "label_score")
MAX_NAMED = 5  # classes in a warning; the tables of a run have them all


def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Scores the model once on the test split of the data set that it was trained on.

    Metrics, figures and tables are written into the model's run; what stands there already is replaced.

    Raises:
        StoreError: no such run or model.
        ModelFileError: the model's files are missing or altered.
        DataError: the data found here is not what the model was trained on.
    """
    from src import tracking

    with tracking.resume_run(config.tracking, run_id=config.run_id, model_uri=config.model_uri) as run:
        trained = config_from_dict(run.read_config())
        with heavy_imports():
            from src import fitting

            fitting.prepare_devices()

        dataset = load_tracked_dataset(run, trained, config.data_dir)
        scores = fitting.score(load_tracked_model(run, config.model_uri), dataset.test)
        metrics = record_evaluation(run, dataset, scores, step=run.best_epoch)
    return EvaluationResult(
        run_id=run.run_id or "",
        experiment_id=run.experiment_id,
        metrics=metrics,
        images=len(dataset.test),
        warnings=dataset.warnings + unrecognized_classes(dataset, scores),
    )


def load_tracked_dataset(run: "Run", trained: Config, data_dir: str | None) -> "Dataset":
    """The data set that the run was trained on, as much of it as the run used.

    Args:
        run: says what was found when it was trained.
        trained: its config.
        data_dir: where the data is on this machine; None: where the run found it.

    Raises:
        DataError: the data cannot be found, or is not what the run was trained on.
    """
    from src.datasets import load_dataset

    dataset = load_dataset(as_found(run, trained, data_dir))
    if trained.training.max_batches is not None:
        dataset = dataset.head(trained.training.max_batches * trained.training.batch_size)
    _check_digest(run, dataset)
    return dataset


def as_found(run: "Run", trained: Config, data_dir: str | None) -> DatasetConfig:
    """The data set's config, looking for what was found when the run was trained, whatever can be found now."""
    from src.datasets import moved_to

    wanted = trained.dataset if data_dir is None else moved_to(trained.dataset, data_dir)
    if isinstance(wanted, IdxConfig):
        wanted = replace(wanted, source=run.params.get("resolved.data_source", wanted.source))
    return wanted


def load_tracked_model(run: "Run", model_uri: str | None) -> "keras.Model":
    """The model that the run keeps, or the one behind the URI.

    Raises:
        StoreError: the run keeps no model.
        ModelFileError: the model's files are missing or altered.
    """
    from src import saving

    with run.model_folder(model_uri) as folder:
        return saving.load_model(saving.keras_file(folder))


def record_evaluation(run: "Run", dataset: "Dataset", scores: "Scores", step: int) -> dict[str, float]:
    """Puts test metrics, confusion matrix, worst mistakes, per-class figures and every prediction into the run.

    Returns:
        `test_loss` and `test_accuracy`.
    """
    from sklearn.metrics import precision_recall_fscore_support

    from src import figures, tracking

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


def unrecognized_classes(dataset: "Dataset", scores: "Scores") -> list[str]:
    """Return a warning that names the classes of which no test image was recognized; an empty list without any."""
    import numpy as np

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

    labels: "npt.NDArray[np.int64]"
    predicted: "npt.NDArray[np.int64]"
    scores: "npt.NDArray[np.float64]"


def read_predictions(run: "Run") -> Predictions | None:
    """The test predictions that the run keeps, None when it was not scored."""
    import numpy as np

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


def _check_digest(run: "Run", dataset: "Dataset") -> None:
    source, digest = run.params.get("resolved.data_source"), run.params.get("resolved.data_digest", "")
    if digest != dataset.digest:
        raise DataError(
            f"the {dataset.name} found here ({dataset.source}, digest {dataset.digest[:12]}) is not what run "
            f"{run.run_id} was trained on ({source}, digest {digest[:12]}), and may hold its training images; "
            "name the folder of the right data: data_dir=FOLDER"
        )


@entry_point("evaluate")
def main(config: EvaluateConfig, overrides: list[str]) -> None:
    """Scores, then says what came out and where it is kept."""
    result = evaluate(config)
    from src import console

    metrics = "  ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
    console.warn(result.warnings)
    console.say(f"{metrics}  on {result.images:,} test images")
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
