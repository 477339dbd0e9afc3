"""The picture of a cross-validation: a point for each fold, the mean with its interval, and no text over another."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from src import figures
from src.results import FoldRow, FoldSummary
from tests.support.figures import overlapping_texts

SUMMARIES = {
    "val_accuracy": FoldSummary(0.975, 0.003, 0.97, 0.98),
    "test_accuracy": FoldSummary(0.965, 0.001, 0.96, 0.975),
}


def draw(count: int = 5, names: tuple[str, ...] = tuple(SUMMARIES), metric: str = "accuracy") -> Figure:
    summaries = {name: SUMMARIES[name] for name in names}
    rows = [
        FoldRow(fold, "run", 3, 100, {name: summaries[name].mean + fold / 1e4 for name in names})
        for fold in range(1, count + 1)
    ]
    return figures.plot_folds(rows, summaries, metric)


def points(figure: Figure) -> list[list[Any]]:
    """The points of each split, in its order."""
    return [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_marker() == "o"]  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [2, 5, 40])
def test_each_fold_has_a_point_at_its_metric_for_each_split(count: int) -> None:
    for found, summary in zip(points(draw(count)), SUMMARIES.values(), strict=True):
        assert [round(x) for x, _ in found] == list(range(1, count + 1))
        assert [y for _, y in found] == pytest.approx([summary.mean + fold / 1e4 for fold in range(1, count + 1)])


def test_the_points_of_two_splits_do_not_cover_each_other() -> None:
    validation, test = points(draw())
    assert not {x for x, _ in validation} & {x for x, _ in test}


def test_the_mean_is_on_the_right_with_its_interval() -> None:
    for bars, (mean, _, low, high) in zip(draw().axes[0].containers, SUMMARIES.values(), strict=True):
        marks, _, (lines,) = bars
        ((x, y),) = marks.get_xydata()
        assert y == mean
        assert x > 5.5
        assert lines.get_segments()[0][:, 1] == pytest.approx([low, high])


def test_the_legend_has_the_numbers() -> None:
    (legend,) = draw().legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "validation: mean 0.9750, 95 % interval 0.9700 to 0.9800",
        "test: mean 0.9650, 95 % interval 0.9600 to 0.9750",
    ]


def test_without_a_scored_test_split_only_the_folds_are_drawn() -> None:
    (found,) = points(draw(names=("val_accuracy",)))
    assert [x for x, _ in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [2, 5, 10, 16, 17, 40, 100])
def test_labels_do_not_overlap(count: int) -> None:
    assert overlapping_texts(draw(count)) == []
