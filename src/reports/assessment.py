"""The certainty of the scores of a test split: computed once, shown in the terminal, recorded in the run."""

from __future__ import annotations

from typing import NamedTuple

from src import certainty, datasets, fitting, tracking
from src.results import Interval
from src.schema import TEST, LossConfig

TEST_METRICS = "tables/test_metrics.csv"


class Assessment(NamedTuple):
    """The certainty of the scores of a test split.

    Attributes:
        intervals: the 95 % interval of each test metric, such as `test_accuracy`.
    """

    intervals: dict[str, Interval]


def assess(dataset: datasets.Dataset, scores: fitting.Scores, loss: LossConfig) -> Assessment:
    """Return how certain the scores are.

    Args:
        dataset: its test split was scored.
        scores: of the test split.
        loss: the one that the model was trained with.
    """
    functions = fitting.metric_functions(loss)
    intervals = certainty.intervals_of(
        dataset.test.labels, scores.probabilities, {name: functions[name] for name in scores.metrics}
    )
    return Assessment({TEST + name: interval for name, interval in intervals.items()})


def record_assessment(run: tracking.Run, scores: fitting.Scores, assessment: Assessment) -> None:
    """Record the intervals of the test metrics: as a table for people, and as a tag for runs that are reused."""
    rows = [(name, value, *assessment.intervals.get(name, (None, None))) for name, value in scores.test_metrics.items()]
    run.log_table(TEST_METRICS, ("metric", "value", "low", "high"), rows)
    run.set_tags(tracking.interval_tag(assessment.intervals))
