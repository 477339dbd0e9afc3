"""Results of the commands other than sweeps."""

from dataclasses import dataclass, field
from typing import NamedTuple, Self


class ClassScore(NamedTuple):
    """The scores of one class on the test split.

    Attributes:
        name: of the class.
        precision: the share of images predicted as the class that are of it; 0 if there are none.
        recall: the share of images of the class that were recognized; 0 if there are none.
        f1: the harmonic mean of precision and recall.
        images: the number of images of the class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    images: int

    def cells(self) -> tuple[str, str, str, str, str]:
        """The row of a table."""
        return (self.name, f"{self.precision:.4f}", f"{self.recall:.4f}", f"{self.f1:.4f}", str(self.images))


class Interval(NamedTuple):
    """The 95 % interval of a metric."""

    low: float
    high: float


class Calibration(NamedTuple):
    """The calibration of a model on the test split.

    Attributes:
        error: the calibration error of the model as it was trained, 0-1.
        temperature: divides the inputs of the softmax, fitted on the validation split; None without such a split.
        calibrated_error: the calibration error with the temperature.
    """

    error: float
    temperature: float | None = None
    calibrated_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The result of one training run.

    Attributes:
        run_id: the MLflow run, or None when tracking is off.
        experiment_id: of that run.
        best_epoch: the epoch whose weights were kept, counted from 1.
        metrics: the metrics of that epoch, and `test_loss`, `test_accuracy` and others when the test split was scored.
        intervals: the 95 % interval of each test metric; a run of an earlier version has none.
        calibration: of the model, None if the test split was not scored; a run of an earlier version has none.
        history: metric name -> one value per epoch.
        stopped: why training ended before its last epoch (`early_stopping`, `observer`, `last_epoch`), or None.
        warnings: facts that change how to read the metrics, such as a sample in place of the data set.
        classes: the scores of each class, empty if the test split was not scored now. A reused run has them in a table.
    """

    run_id: str | None
    experiment_id: str = ""
    best_epoch: int
    metrics: dict[str, float]
    history: dict[str, list[float]]
    intervals: dict[str, Interval] = field(default_factory=dict)
    calibration: Calibration | None = None
    stopped: str | None = None
    warnings: list[str] = field(default_factory=list)
    classes: list[ClassScore] = field(default_factory=list, compare=False)


@dataclass(frozen=True, kw_only=True)
class DoctorResult:
    """The counts of what a check of a store has found; results can be added.

    Attributes:
        faults: how many faults were found.
        repaired: how many of them were repaired.
        repairable: how many of the others can be repaired.
        freed: bytes of disk space that were freed.
        freeable: bytes of disk space that can be freed.
    """

    faults: int = 0
    repaired: int = 0
    repairable: int = 0
    freed: int = 0
    freeable: int = 0

    @property
    def left(self) -> int:
        """The number of faults that were not repaired."""
        return self.faults - self.repaired

    def __add__(self, other: Self) -> Self:
        return type(self)(
            faults=self.faults + other.faults,
            repaired=self.repaired + other.repaired,
            repairable=self.repairable + other.repairable,
            freed=self.freed + other.freed,
            freeable=self.freeable + other.freeable,
        )


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """The scores of one model on the test split.

    Attributes:
        run_id: the MLflow run that the model came from.
        experiment_id: of that run.
        metrics: `test_loss`, `test_accuracy` and others.
        averaged: those of test-time augmentation, `tta_test_accuracy` and others; empty without `tta`.
        intervals: the 95 % interval of each of `metrics`.
        calibration: of the model.
        images: the number of images scored.
        warnings: facts that change how to read the metrics.
        classes: the scores of each class.
    """

    run_id: str
    experiment_id: str = ""
    metrics: dict[str, float]
    averaged: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    calibration: Calibration | None = None
    images: int
    warnings: list[str] = field(default_factory=list)
    classes: list[ClassScore] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ExplanationResult:
    """The explanation of a model's predictions.

    Attributes:
        run_id: the MLflow run that the model came from.
        experiment_id: of that run.
        title, columns, rows: the predictions that are explained, as a table.
        pictures: the paths of the pictures and pages in the run.
        notes: facts that change how to read them.
        metrics: those that were recorded, one for each measure of the predictions.
    """

    run_id: str
    experiment_id: str = ""
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    pictures: list[str]
    notes: list[str]
    metrics: dict[str, float] = field(default_factory=dict)


class ExportRow(NamedTuple):
    """Measurements of a model, or of a file that it was exported to.

    Attributes:
        format: `keras` for the model, one of `EXPORTS` for a file.
        size: bytes of the file.
        accuracy: on the test split, 0-1.
        difference: the largest difference of a probability from the model's, over all test images and classes.
        latency_ms: milliseconds for one image, the median.
        batch_latency_ms: the same for a batch of 32 images.
    """

    format: str
    size: int
    accuracy: float
    difference: float
    latency_ms: float
    batch_latency_ms: float

    def cells(self) -> tuple[str, str, str, str]:
        """The row of a table, without the format and the size."""
        times = f"{self.latency_ms:.2f}", f"{self.batch_latency_ms:.2f}"
        return (f"{self.accuracy:.4f}", f"{self.difference:.2g}", *times)


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """The files that a model was exported to.

    Attributes:
        run_id: the MLflow run that the model came from.
        experiment_id: of that run.
        rows: the measurements, first those of the model itself.
        images: the number of test images.
        threads: how many threads computed.
        warnings: facts that change how to read the accuracy.
    """

    run_id: str
    experiment_id: str = ""
    rows: list[ExportRow]
    images: int
    threads: int
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ArtResult:
    """A picture that was made with a trained network.

    Attributes:
        run_id: the run of the picture, or None when tracking is off.
        experiment_id: of that run.
        output: the file of the picture.
        height, width: of the picture, in pixels.
        metrics: of the last step.
    """

    run_id: str | None
    experiment_id: str
    output: str
    height: int
    width: int
    metrics: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class PredictionResult:
    """The predictions of a model for images.

    Attributes:
        output: the file with a row for each image.
        counts: the number of images predicted as each class.
        bad_files: the files that were skipped, and why.
    """

    output: str
    counts: dict[str, int]
    bad_files: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class RegistrationResult:
    """A run's model in the registry.

    Attributes:
        name: of the registered model.
        version: the number of the run's version.
        is_new: True for a version that was added just now.
        run_id: the run.
        alias: the alias that was to be moved to the version, or None.
        moved: True if it was moved.
        reason: why it was moved, or why not.
        p_value: of the test against the version that had the alias, None when the two were not compared.
        test: `mcnemar` for a comparison by accuracy, `bootstrap` for one by another metric.
    """

    name: str
    version: int
    is_new: bool
    run_id: str
    alias: str | None
    moved: bool
    reason: str
    p_value: float | None = None
    test: str = "mcnemar"
