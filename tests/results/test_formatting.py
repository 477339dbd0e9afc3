"""Values as they are shown to people."""

import pytest

from src.results import Calibration, Interval, format_calibration, format_scores, short_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("a.png", "a.png"),
        ("b" * 28, "b" * 28),
        ("a" * 20 + "b" * 27, "…" + "b" * 27),
        ("t\tr\rn\n.png", "t�r�n�.png"),
        ("Möwe/猫.png", "Möwe/猫.png"),
        ("", ""),
    ],
)
def test_a_short_name_keeps_the_end_and_has_no_characters_that_cannot_be_shown(name: str, short: str) -> None:
    assert short_name(name) == short


def test_each_metric_is_followed_by_its_interval_if_it_has_one() -> None:
    metrics = {"test_loss": 0.04123, "test_accuracy": 0.987}
    assert format_scores(metrics, {"test_accuracy": Interval(0.98456, 0.989)}) == (
        "test_loss 0.0412  test_accuracy 0.9870 (0.9846-0.9890)  in parentheses: 95 % intervals"
    )
    assert format_scores(metrics, {}) == "test_loss 0.0412  test_accuracy 0.9870"


@pytest.mark.parametrize(
    ("calibration", "shown"),
    [
        (Calibration(0.01234, 1.4159, 0.0041), "calibration error 0.0123, with temperature 1.42: 0.0041"),
        (Calibration(0.01234), "calibration error 0.0123 (no temperature, because the run has no validation split)"),
    ],
)
def test_the_calibration_is_shown_before_and_after(calibration: Calibration, shown: str) -> None:
    assert format_calibration(calibration) == shown
