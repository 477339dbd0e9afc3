"""The timeline: a bar from each trial's start to its end."""

from datetime import datetime, timedelta

import pytest

from src.figures.timeline import TimelineBar, largest_unit, plot_timeline, timeline_data
from tests.support.figures import visible
from tests.support.trials import row

NOON = datetime(2026, 11, 28, 12)


def test_times_count_from_the_first_start_and_trials_without_an_end_have_no_bar() -> None:
    rows = [
        row(0, 0.5, started=NOON + timedelta(seconds=5)),
        row(1, 0.5, "PRUNED", started=NOON, seconds=2.0),
        row(2, None, "FAIL", started=NOON, interrupted=True),
        row(3, None, "RUNNING", started=NOON, seconds=None),
        row(4, 0.5, started=None),
    ]
    assert timeline_data(rows) == [
        TimelineBar(0, "COMPLETE", 5.0, 1.0),
        TimelineBar(1, "PRUNED", 0.0, 2.0),
        TimelineBar(2, "INTERRUPTED", 0.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("seconds", "unit"), [(0.5, "seconds"), (119, "seconds"), (120, "minutes"), (7200, "hours"), (864_000, "days")]
)
def test_times_are_in_a_unit_of_their_size(seconds: float, unit: str) -> None:
    assert largest_unit([TimelineBar(0, "COMPLETE", 0.0, seconds)])[0] == unit


def test_bars_have_the_starts_and_lengths_of_the_trials() -> None:
    bars = [TimelineBar(0, "COMPLETE", 0.0, 30.0), TimelineBar(1, "FAIL", 60.0, 120.0)]
    (axes,) = visible(plot_timeline(bars))
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0.0, 0.5), (1.0, 2.0)]
    assert "minutes" in axes.get_xlabel()
