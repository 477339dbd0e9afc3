"""Reliability diagrams: the bars, and what they say of the confidence."""

from typing import Any

import numpy as np
import pytest

from src import figures
from src.certainty import Reliability, calibrate, reliability_of
from tests.support.figures import png
from tests.support.probabilities import random_model

LABELS, PROBABILITIES = random_model(1, 300)
TRAINED, CALIBRATED = reliability_of(LABELS, PROBABILITIES), reliability_of(LABELS, calibrate(PROBABILITIES, 1.7))


def one_bin(confidence: float, accuracy: float) -> Reliability:
    """A model whose predictions all have one confidence."""
    bins = np.arange(15)
    shares = [np.where(bins == 9, share, np.nan) for share in (confidence, accuracy)]
    return Reliability(shares[0], shares[1], np.where(bins == 9, 40, 0), abs(confidence - accuracy))


@pytest.mark.parametrize(
    ("confidence", "accuracy", "heights"), [(0.65, 0.4, [0.4, 0.25, 0]), (0.65, 0.9, [0.65, 0, 0.25])]
)
def test_a_bar_ends_at_the_smaller_share_and_the_difference_is_on_top(
    confidence: float, accuracy: float, heights: list[float]
) -> None:
    axes: Any = figures.plot_reliability(one_bin(confidence, accuracy), None, None).axes[0]
    bars = {container.get_label(): container.patches[0] for container in axes.containers}
    assert [bars[name].get_height() for name in ("right", "too sure", "right, but not sure enough")] == (
        pytest.approx(heights)
    )
    assert bars["too sure"].get_y() == bars["right"].get_height()


def test_both_models_are_titled_with_their_errors() -> None:
    figure = figures.plot_reliability(TRAINED, CALIBRATED, 1.7)
    assert [axes.get_title() for axes in figure.axes[:2]] == [
        f"as trained: calibration error {TRAINED.error:.4f}",
        f"with temperature 1.70: calibration error {CALIBRATED.error:.4f}",
    ]


def test_the_lower_panels_count_the_images_and_cut_none_off() -> None:
    panels: list[Any] = figures.plot_reliability(TRAINED, CALIBRATED, 1.7).axes[2:]
    for axes, reliability in zip(panels, (TRAINED, CALIBRATED), strict=True):
        assert [bar.get_height() for bar in axes.patches] == reliability.images.tolist()
        assert axes.get_ylim()[1] > reliability.images.max()


def test_a_model_without_a_temperature_has_one_column() -> None:
    figure = figures.plot_reliability(TRAINED, None, None)
    assert len(figure.axes) == 2
    assert png(figure).startswith(b"\x89PNG")
