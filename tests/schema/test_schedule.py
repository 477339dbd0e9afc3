"""Which values learning-rate schedules may have, and how many epochs they need."""

import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.schema.schedule import (
    CosineConfig,
    CosineRestartsConfig,
    ExponentialConfig,
    OneCycleConfig,
    PolynomialConfig,
    ReduceOnPlateauConfig,
    StepConfig,
)
from tests.support.configs import INF, NAN, Make, Ranges, range_tests

plateau: Make = ReduceOnPlateauConfig
cosine: Make = CosineConfig
step: Make = StepConfig
exponential: Make = ExponentialConfig
polynomial: Make = PolynomialConfig
one_cycle: Make = OneCycleConfig
restarts: Make = CosineRestartsConfig

RANGES: Ranges = [
    (plateau, "schedule.factor", [1e-12, 0.999], [0.0, 1.0, -0.5, NAN]),
    (plateau, "schedule.patience", [1], [0, -1]),
    (plateau, "schedule.min_learning_rate", [0.0], [-1e-6, NAN, INF]),
    (cosine, "schedule.warmup_epochs", [0.0, 0.5], [-0.1, NAN, INF]),
    (cosine, "schedule.alpha", [0.0, 1.0], [-0.1, 1.1, NAN]),
    (step, "schedule.factor", [1e-12, 0.999], [0.0, 1.0, -0.5, NAN]),
    (step, "schedule.step_epochs", [1, None], [0, -1]),
    (exponential, "schedule.factor", [1e-12, 0.999], [0.0, 1.0, -0.5, NAN]),
    (polynomial, "schedule.power", [0.5, 2.0], [0.0, -1.0, NAN, INF]),
    (polynomial, "schedule.alpha", [0.0, 1.0], [-0.1, 1.1, NAN]),
    (one_cycle, "schedule.warmup_fraction schedule.initial_fraction", [0.01, 0.99], [0.0, 1.0, NAN]),
    (one_cycle, "schedule.alpha", [0.0, 1.0], [-0.1, 1.1, NAN]),
    (restarts, "schedule.cycles", [2], [1, 0]),
    (restarts, "schedule.factor", [1.0, 100.0], [0.5, 101.0, NAN]),
    (restarts, "schedule.height", [0.5, 1.0], [0.0, 1.1, NAN]),
    (restarts, "schedule.alpha", [0.0, 1.0], [-0.1, 1.1, NAN]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


@pytest.mark.parametrize(
    ("schedule", "key", "sentence"),
    [
        ("cosine", "warmup_epochs", "leaves nothing of training.epochs=4"),
        ("step", "step_epochs", "is not less than training.epochs=4"),
    ],
)
def test_a_schedule_that_needs_more_epochs_than_there_are_is_refused(schedule: str, key: str, sentence: str) -> None:
    typed = [f"schedule={schedule}", "training.epochs=4"]
    compose_config([*typed, f"schedule.{key}=3"])
    with pytest.raises(ConfigError, match=rf"^schedule\.{key}: 4 {sentence}; use fewer epochs"):
        compose_config([*typed, f"schedule.{key}=4"])
