"""How long, how precisely and by which metric one may train."""

import pytest

from src.errors import ConfigError
from src.schema.training import TrainingConfig
from tests.support.configs import Make, Ranges, range_tests

training: Make = TrainingConfig
MONITORS = ["loss", "accuracy", "val_loss", "val_accuracy"]
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
