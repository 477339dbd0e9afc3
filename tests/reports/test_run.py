"""The description and the settings of a training run."""

from dataclasses import replace

import pytest

from src.cli.compose import compose_config
from src.reports.run import _with_values, summarize
from src.results import Interval, TrainResult

RESULT = TrainResult(
    run_id="abc",
    best_epoch=2,
    metrics={"accuracy": 0.99, "val_accuracy": 0.9905, "test_accuracy": 0.9912},
    history={"loss": [1.0, 0.5, 0.4]},
)
SETTINGS = {"network": "lenot, 61,706 parameters", "data": "mnist (full): 55,000 train images"}


def test_the_description_starts_with_the_result_and_ends_with_the_warnings() -> None:
    result = replace(RESULT, stopped="early_stopping", warnings=["this is NOT the full MNIST"])
    assert summarize(result, SETTINGS).splitlines() == [
        "**test accuracy 0.9912, val accuracy 0.9905** at best epoch 2 of 3, ended by early_stopping",
        "",
        "- network: lenot, 61,706 parameters",
        "- data: mnist (full): 55,000 train images",
        "",
        "Warnings:",
        "",
        "- this is NOT the full MNIST",
    ]


def test_the_description_has_the_intervals_of_all_test_metrics() -> None:
    intervals = {"test_accuracy": Interval(0.98, 0.9950), "test_loss": Interval(0.01, 0.03)}
    metrics = {**RESULT.metrics, "test_loss": 0.02}
    assert summarize(replace(RESULT, metrics=metrics, intervals=intervals), SETTINGS).splitlines()[2] == (
        "- test metrics and their 95 % intervals: test_accuracy 0.9912 (0.9800-0.9950), "
        "test_loss 0.0200 (0.0100-0.0300)"
    )


@pytest.mark.parametrize(
    ("metrics", "first"),
    [
        (
            {"accuracy": 0.9, "val_accuracy": 0.8},
            "**val accuracy 0.8000, training accuracy 0.9000** at best epoch 2 of 3",
        ),
        (
            {"accuracy": 0.9, "test_accuracy": 0.7},
            "**test accuracy 0.7000, training accuracy 0.9000** after epoch 2 of 3",
        ),
    ],
)
def test_the_first_line_has_the_two_most_important_accuracies(metrics: dict[str, float], first: str) -> None:
    assert summarize(replace(RESULT, metrics=metrics), SETTINGS).splitlines()[0] == first


@pytest.mark.parametrize(
    ("monitor", "first"),
    [
        ("val_macro_f1", "**test macro F1 0.7500, val macro F1 0.8000, test accuracy 0.9912, val accuracy 0.9905** at"),
        ("val_loss", "**test accuracy 0.9912, val accuracy 0.9905** at"),
        ("accuracy", "**test accuracy 0.9912, val accuracy 0.9905** at"),
    ],
)
def test_the_metric_of_the_monitor_is_before_the_accuracy(monitor: str, first: str) -> None:
    metrics = RESULT.metrics | {"val_macro_f1": 0.8, "test_macro_f1": 0.75, "val_loss": 0.1}
    assert summarize(replace(RESULT, metrics=metrics), SETTINGS, monitor).startswith(first)


def test_names_in_the_description_are_not_read_as_markdown() -> None:
    settings = {"data": "![a](http://b.c) <img src=x> | d: 3 train images"}
    text = summarize(replace(RESULT, warnings=["class '[x](y)'"]), settings)
    assert "!&#91;a&#93;(http&#58;//b.c) &#60;img src=x&#62; &#124; d: 3 train images" in text
    assert "class '&#91;x&#93;(y)'" in text


def test_a_schedule_and_an_augmentation_are_shown_with_the_values_that_were_set() -> None:
    config = compose_config(["schedule=cosine", "schedule.alpha=0.1", "augmentation=photos", "augmentation.flip=null"])
    assert _with_values(config.schedule) == "cosine, alpha 0.1"
    assert _with_values(config.augmentation).startswith("photos, shift 0.1")
    assert "flip" not in _with_values(config.augmentation)
