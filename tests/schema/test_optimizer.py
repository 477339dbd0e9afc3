"""Which values optimizers may have."""

import pytest

from src.errors import ConfigError
from src.schema.optimizer import (
    AdamConfig,
    AdamWConfig,
    NadamConfig,
    RMSpropConfig,
    SGDConfig,
)
from tests.support.configs import INF, NAN, Make, Ranges, range_tests

rmsprop: Make = RMSpropConfig
adam: Make = AdamConfig
adamw: Make = AdamWConfig
nadam: Make = NadamConfig
sgd: Make = SGDConfig

RANGES: Ranges = [
    (rmsprop, "optimizer.learning_rate", [1e-12, 10.0], [0.0, -1e-3, NAN, INF]),
    (rmsprop, "optimizer.clipnorm", [None, 0.1], [0.0, -1.0, NAN, INF]),
    (sgd, "optimizer.global_clipnorm optimizer.clipvalue", [None], [0.0, -1.0, NAN, INF]),
    (sgd, "optimizer.ema_momentum", [None, 0.5, 0.999], [0.0, 1.0, NAN]),
    (sgd, "optimizer.gradient_accumulation_steps", [None, 2], [1, 0, -2]),
    (sgd, "optimizer.weight_decay optimizer.l2", [None, 0.0, 0.1], [-1e-7, NAN, INF]),
    (rmsprop, "optimizer.rho optimizer.momentum", [0.0, 0.999], [1.0, -0.1, NAN]),
    (adam, "optimizer.beta_1 optimizer.beta_2", [0.0, 0.999], [1.0, -0.1, NAN]),
    (adam, "optimizer.epsilon", [0.0], [-1e-7, NAN, INF]),
    (rmsprop, "optimizer.epsilon", [0.0], [-1e-7, NAN, INF]),
    (adamw, "optimizer.weight_decay optimizer.epsilon", [0.0], [-1e-7, NAN, INF]),
    (adamw, "optimizer.beta_1 optimizer.beta_2", [0.0, 0.999], [1.0, -0.1, NAN]),
    (nadam, "optimizer.beta_1 optimizer.beta_2", [0.0, 0.999], [1.0, -0.1, NAN]),
    (nadam, "optimizer.epsilon", [0.0], [-1e-7, NAN, INF]),
    (sgd, "optimizer.momentum", [0.0, 0.999], [1.0, -0.1, NAN]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


def test_two_ways_of_clipping_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^optimizer\.clipnorm=1 and optimizer\.clipvalue=0\.5: .*all but one"):
        RMSpropConfig(clipnorm=1.0, clipvalue=0.5)
