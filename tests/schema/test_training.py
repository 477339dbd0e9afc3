"""How long, how precisely and by which metric one may train."""

from typing import Any

import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.schema.training import TrainingConfig, check_classes
from tests.support.configs import Make, Ranges, range_tests

training: Make = TrainingConfig
MONITORS = ["loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "val_brier"]
PRECISIONS = ["float32", "auto", "mixed_bfloat16", "mixed_float16"]

RANGES: Ranges = [
    (training, "training.epochs training.batch_size training.steps_per_execution", [1], [0, -1]),
    (training, "training.max_batches training.early_stopping_patience training.last_epoch", [None, 1], [0]),
    (training, "training.monitor", MONITORS, ["val_acc", "", "learning_rate"]),
    (training, "training.class_weights", [None, "balanced"], ["equal", ""]),
    (training, "training.devices", ["1", "8", "all"], ["0", "-1", "1.5", "many", ""]),
    (training, "training.precision", PRECISIONS, ["float16", "Float32", ""]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


@pytest.mark.parametrize("monitor", ["test_accuracy", "test_loss"])
def test_a_metric_of_the_test_split_is_refused_with_the_reason(monitor: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{monitor}' .*scored once.*; use one of loss, .*val_accuracy"):
        training(monitor=monitor)


def test_a_last_epoch_after_the_last_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"last_epoch: 4 is after the last of training.epochs=3; use at most 3"):
        training(epochs=3, last_epoch=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": []}, r"training\.metrics: got \[\], expected at least one of loss, .*; or remove `training"),
        ({"metrics": ["macro_f2"]}, r"training\.metrics: got 'macro_f2', expected .*; did you mean 'macro_f1'\?"),
        ({"metrics": ["val_auc"]}, r"training\.metrics: got 'val_auc', expected one of loss, .*mean 'auc'\?"),
        ({"metrics": ["accuracy", ""]}, r"training\.metrics: got '', expected one of loss, .*calibration_error$"),
        ({"monitor": "val_f1"}, r"training\.monitor: got 'val_f1', expected .*; did you mean 'val_macro_f1'\?"),
        ({"monitor": "macro_f1"}, r"training\.monitor: got 'macro_f1', expected .*; did you mean 'val_macro_f1'\?"),
        ({"monitor": "test_auc"}, r"training\.monitor: 'test_auc' would choose by the test split"),
    ],
)
def test_a_metric_that_does_not_exist_is_refused_with_the_nearest_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training(**settings)


@pytest.mark.parametrize("key", ["metrics", "monitor"])
def test_the_best_five_of_five_classes_are_refused_and_of_six_allowed(key: str) -> None:
    value = {"metrics": "[top5_accuracy]", "monitor": "val_top5_accuracy"}[key]
    names = [f"dataset.class_names=[{','.join('abcdef'[:count])}]" for count in (5, 6)]
    message = rf"training\.{key}: top5_accuracy needs at least 6 classes, and synthetic has 5; use another"
    with pytest.raises(ConfigError, match=message):
        compose_config(["dataset=synthetic", names[0], f"training.{key}={value}"])
    assert (
        "top5_accuracy" in compose_config(["dataset=synthetic", names[1], f"training.{key}={value}"]).training.recorded
    )


@pytest.mark.parametrize("count", [4, 5])
def test_a_metric_that_needs_more_classes_is_refused_for_a_run_that_is_scored_again(count: int) -> None:
    dataset = compose_config(["dataset=synthetic", f"dataset.class_names=[{','.join('abcde'[:count])}]"]).dataset
    with pytest.raises(ConfigError, match=rf"^metrics: top5_accuracy needs at least 6 classes, .* has {count}; use"):
        check_classes("metrics", ["auc", "top5_accuracy"], dataset)
