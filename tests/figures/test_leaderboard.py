"""The leaderboard as a picture: every network on its line, with its numbers, and no text over another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from src import figures
from src.results import Interval, LeaderboardRow
from tests.support.figures import texts


def row(model: str, accuracy: float, spread: float, parameters: int, latency: float, seeds: int = 3) -> LeaderboardRow:
    """A row with these numbers for the validation split; those of the test split are a little lower."""
    spreads = (spread, spread / 2) if seeds > 1 else (None, None)
    tested = accuracy - 0.001
    return LeaderboardRow(
        model, accuracy, spreads[0], tested, spreads[1], seeds, parameters, 10.0, 1_000_000, latency, "run"
    )


ROWS = [row("cnn_mnist_v2", 0.9916, 0.0017, 93_322, 0.0045), row("lenot", 0.9898, 0.0002, 61_706, 0.003)]
LIKENESSES: dict[str, Sequence[LeaderboardRow]] = {
    "within one decade": [*ROWS, row("dense", 0.978, 0.001, 101_770, 0.002)],
    "far apart": [row("alexnet", 0.9, 0.1, 61_100_840, 0.2), row("resnet18", 0.5, 0.0, 200, 0.0001)],
    "hardly different": [row("a", 0.98981, 4e-6, 61_706, 3e-6), row("b", 0.9898, 2e-6, 61_707, 4e-6)],
    "with intervals": [row._replace(interval=Interval(row.test - 0.002, row.test + 0.002)) for row in ROWS],
    "alone": [row("a_network_with_a_long_name", 0.9898, 0.0, 61_706, 0.003, seeds=1)],
    "many": [row(f"net{index}", 0.9 - index / 100, 0.01, 10**index + 7, 0.001 * index) for index in range(1, 9)],
}


def points(line: Any) -> list[list[float]]:
    return np.asarray(line.get_xydata()).tolist()


def drawn(figure: Figure) -> Any:
    """What has drawn the figure and so knows how large everything became."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def test_each_network_has_a_line_with_the_best_at_the_top() -> None:
    accuracy = figures.plot_leaderboard(ROWS).axes[0]
    lines = zip(accuracy.get_yticks(), accuracy.get_yticklabels(), strict=True)
    assert [(place, label.get_text()) for place, label in lines] == [(2, "cnn_mnist_v2"), (1, "lenot")]
    low, high = accuracy.get_ylim()
    assert low < 1 < 2 < high


@pytest.mark.parametrize(("at", "mean", "spread"), [(0, "best_val", "best_val_spread"), (1, "test", "test_spread")])
def test_each_split_has_a_point_at_its_mean_with_the_spread_to_both_sides(at: int, mean: str, spread: str) -> None:
    bars = figures.plot_leaderboard(ROWS).axes[0].containers[at]
    marks, _, (spreads,) = bars
    assert [x for x, _ in points(marks)] == [getattr(known, mean) for known in ROWS]
    assert [round(y) for _, y in points(marks)] == [2, 1]
    for line, known in zip(spreads.get_segments(), ROWS, strict=True):
        middle, half = getattr(known, mean), getattr(known, spread)
        assert line[:, 0] == pytest.approx([middle - half, middle + half])


def test_an_interval_is_a_band_behind_the_test_score() -> None:
    rows = [ROWS[0]._replace(interval=Interval(0.98, 0.995)), ROWS[1]]
    figure = figures.plot_leaderboard(rows)
    (band,) = [found for found in figure.axes[0].collections if found.get_label() == "95 % interval, test"]
    assert isinstance(band, LineCollection)
    assert [segment.tolist() for segment in band.get_segments()] == [[[0.98, 1.88], [0.995, 1.88]]]
    assert len(figure.legends[0].get_texts()) == 3


def test_the_axis_is_named_after_the_metric() -> None:
    assert figures.plot_leaderboard(ROWS, "loss").axes[0].get_xlabel() == "loss, mean and spread of 3 seeds"


def test_the_two_splits_have_a_legend_and_lie_next_to_each_other() -> None:
    figure = figures.plot_leaderboard(ROWS)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["validation (for ranking)", "test"]
    validation, test = (points(bars[0]) for bars in figure.axes[0].containers)
    assert not {y for _, y in validation} & {y for _, y in test}


def test_a_single_seed_has_no_bars() -> None:
    alone = row("lenot", 0.9, 0.0, 7, 0.1, seeds=1)
    for bars in figures.plot_leaderboard([alone]).axes[0].containers:
        _, caps, lines = bars
        assert (len(caps), len(lines)) == (0, 0)


def test_bars_from_zero_are_as_long_as_an_image_takes_in_milliseconds() -> None:
    latency: Any = figures.plot_leaderboard(ROWS).axes[1]
    assert [bar.get_width() for bar in latency.patches] == [4.5, 3.0]
    assert [bar.get_y() + bar.get_height() / 2 for bar in latency.patches] == [2, 1]
    assert latency.get_xlim()[0] == 0


def test_parameters_are_points_on_a_logarithmic_axis_with_their_numbers() -> None:
    parameters = figures.plot_leaderboard(ROWS).axes[2]
    assert parameters.get_xscale() == "log"
    assert points(parameters.lines[0]) == [[93_322, 2], [61_706, 1]]
    assert texts(parameters) == ["93,322", "61,706"]


@pytest.mark.parametrize(("seeds", "label"), [(3, "accuracy, mean and spread of 3 seeds"), (1, "accuracy of one seed")])
def test_the_axis_says_of_how_many_seeds_the_accuracy_is(seeds: int, label: str) -> None:
    assert figures.plot_leaderboard([row("lenot", 0.9, 0.0, 7, 0.1, seeds)]).axes[0].get_xlabel() == label


def test_the_picture_grows_with_the_networks() -> None:
    one, two, three = (figures.plot_leaderboard((ROWS * 2)[:count]).get_figheight() for count in (1, 2, 3))
    assert three - two == pytest.approx(two - one)
    assert two > one


@pytest.mark.parametrize("rows", LIKENESSES.values(), ids=LIKENESSES)
def test_labels_do_not_overlap(rows: Sequence[LeaderboardRow]) -> None:
    figure = figures.plot_leaderboard(rows)
    renderer = drawn(figure)
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(which="both"), axes.get_yticklabels(), axes.texts):
            boxes = [label.get_window_extent(renderer) for label in labels if label.get_text()]
            assert not [box for place, box in enumerate(boxes) for other in boxes[:place] if box.overlaps(other)]


@pytest.mark.parametrize("rows", LIKENESSES.values(), ids=LIKENESSES)
def test_everything_is_drawn_inside_the_picture(rows: Sequence[LeaderboardRow]) -> None:
    figure = figures.plot_leaderboard(rows)
    renderer = drawn(figure)
    for axes in figure.axes:
        frame = axes.get_window_extent(renderer)
        for number in axes.texts:
            box = number.get_window_extent(renderer)
            assert frame.x0 <= box.x0 < box.x1 <= frame.x1
            assert frame.y0 <= box.y0 < box.y1 <= frame.y1
        for label in (axes.xaxis.label, *axes.get_yticklabels()):
            box = label.get_window_extent(renderer)
            assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
