"""The certainty of the scores of a test split: computed once, shown in the terminal, recorded in the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from src import certainty, datasets, figures, fitting, tracking
from src.errors import StoreError
from src.results import Calibration, Interval
from src.schema import TEST, LossConfig

if TYPE_CHECKING:
    import keras

TEST_METRICS = "tables/test_metrics.csv"
BINS = "tables/calibration.csv"
BIN_COLUMNS = ("from", "to", "images", "confidence", "accuracy")


class Assessment(NamedTuple):
    """The scores of a test split, and how certain they are.

    Attributes:
        scores: the metrics and the probabilities.
        intervals: the 95 % interval of each test metric, such as `test_accuracy`.
        reliability: of the model as it was trained.
        calibrated: of the model with the temperature, None without one.
        temperature: fitted on the validation split, None without such a split.
    """

    scores: fitting.Scores
    intervals: dict[str, Interval]
    reliability: certainty.Reliability
    calibrated: certainty.Reliability | None = None
    temperature: float | None = None

    @property
    def calibration(self) -> Calibration:
        """The calibration errors and the temperature."""
        return Calibration(self.reliability.error, self.temperature, self.calibrated and self.calibrated.error)


def assess(model: keras.Model, dataset: datasets.Dataset, scores: fitting.Scores, loss: LossConfig) -> Assessment:
    """Return how certain the scores are.

    Args:
        model: any of the networks; it predicts the validation split.
        dataset: its test split was scored.
        scores: of the test split.
        loss: the one that the model was trained with.
    """
    labels, probabilities = dataset.test.labels, scores.probabilities
    intervals, reliability = compute_intervals(dataset, scores, loss), certainty.reliability_of(labels, probabilities)
    assessment = Assessment(scores, intervals, reliability)
    if dataset.validation is None or not len(dataset.validation):
        return assessment
    validated = fitting.probabilities(model, dataset.validation.images)
    temperature = certainty.fit_temperature(dataset.validation.labels, validated)
    calibrated = certainty.reliability_of(labels, certainty.calibrate(probabilities, temperature))
    return assessment._replace(calibrated=calibrated, temperature=temperature)


def compute_intervals(dataset: datasets.Dataset, scores: fitting.Scores, loss: LossConfig) -> dict[str, Interval]:
    """Return the interval of each test metric, such as `test_accuracy`; see `assess`."""
    functions = {name: function for name, function in fitting.metric_functions(loss).items() if name in scores.metrics}
    intervals = certainty.intervals_of(dataset.test.labels, scores.probabilities, functions)
    return {TEST + name: interval for name, interval in intervals.items()}


def record_assessment(run: tracking.Run, assessment: Assessment) -> None:
    """Record the intervals and the calibration: as tables for people, and as tags for runs that are reused."""
    metrics = assessment.scores.test_metrics
    rows = [(name, value, *assessment.intervals.get(name, (None, None))) for name, value in metrics.items()]
    run.log_table(TEST_METRICS, ("metric", "value", "low", "high"), rows)
    run.log_table(BINS, ("temperature", *BIN_COLUMNS), _bin_rows(assessment))
    run.set_tags(tracking.interval_tag(assessment.intervals) | tracking.calibration_tag(assessment.calibration))


def _bin_rows(assessment: Assessment) -> list[tuple[float | int | None, ...]]:
    """Return a row for each bin that has images, of the model as it was trained and then with its temperature."""
    found = [(1.0, assessment.reliability)]
    if assessment.temperature is not None and assessment.calibrated is not None:
        found.append((assessment.temperature, assessment.calibrated))
    rows: list[tuple[float | int | None, ...]] = []
    for temperature, (confidence, accuracy, images, _) in found:
        for place in np.flatnonzero(images).tolist():
            edges = place / len(images), (place + 1) / len(images)
            rows.append((temperature, *edges, int(images[place]), float(confidence[place]), float(accuracy[place])))
    return rows


def record_assessment_figures(run: tracking.Run, dataset: datasets.Dataset, assessment: Assessment) -> None:
    """Record the reliability diagram, and the ROC and precision-recall curves of the classes if there are any."""
    diagram = figures.plot_reliability(assessment.reliability, assessment.calibrated, assessment.temperature)
    run.log_figure("figures/reliability.png", diagram)
    probabilities = assessment.scores.probabilities
    curves = figures.class_curves_data(dataset.test.labels, probabilities, dataset.class_names)
    if curves.curves:
        run.log_figure("figures/class_curves.png", figures.plot_class_curves(curves))


def temperature_of(run: tracking.Run, has_validation: bool) -> float:
    """Return the temperature that was fitted for the model of the run.

    Args:
        run: of the model.
        has_validation: True if the model was trained with a validation split.

    Raises:
        StoreError: there is none.
    """
    calibration = tracking.read_calibration(run.tags)
    if calibration is not None and calibration.temperature is not None:
        return calibration.temperature
    if not has_validation:
        raise StoreError(
            f"calibrated=true: the model of run {run.run_id} was trained without a validation split, so it has no "
            "temperature; remove `calibrated=true`, or train with dataset.validation_size above 0"
        )
    raise StoreError(
        f"calibrated=true: run {run.run_id} has no temperature; fit it with python -m src.evaluate run_id={run.run_id}"
    )
