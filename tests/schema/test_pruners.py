"""The settings `hydra.sweeper.pruner.*`."""

from functools import partial
from typing import Any

import pytest

from src.schema.kinds import REGISTRY
from src.schema.pruners import PrunerConfig
from tests.support.configs import INF, NAN, Make, Ranges, combination_tests, range_tests

pruner: dict[str, Make] = dict(REGISTRY["pruner"].kinds)
pruner["threshold"] = partial(pruner["threshold"], lower=0.0, upper=1.0)

RANGES: Ranges = [
    *[
        (pruner[name], f"hydra.sweeper.pruner.{key}", [least], [least - 1])
        for name in ("median", "percentile")
        for key, least in (("n_startup_trials", 0), ("n_warmup_steps", 0), ("interval_steps", 1), ("n_min_trials", 1))
    ],
    (pruner["percentile"], "hydra.sweeper.pruner.percentile", [0.0, 100.0], [-0.1, 100.1, NAN]),
    (pruner["hyperband"], "hydra.sweeper.pruner.min_resource", [1], [0]),
    (pruner["hyperband"], "hydra.sweeper.pruner.max_resource", [None, 1], [0]),
    (pruner["successive_halving"], "hydra.sweeper.pruner.min_resource", [None, 1], [0]),
    (pruner["successive_halving"], "hydra.sweeper.pruner.min_early_stopping_rate", [0], [-1]),
    *[
        (pruner[name], f"hydra.sweeper.pruner.{key}", [least], [least - 1])
        for name in ("hyperband", "successive_halving")
        for key, least in (("reduction_factor", 2), ("bootstrap_count", 0))
    ],
    (pruner["patient"], "hydra.sweeper.pruner.patience", [0], [-1]),
    (pruner["patient"], "hydra.sweeper.pruner.min_delta", [0.0], [-0.1, NAN, INF]),
    (pruner["threshold"], "hydra.sweeper.pruner.lower hydra.sweeper.pruner.upper", [None, 0.5], [NAN, INF, -INF]),
    (pruner["threshold"], "hydra.sweeper.pruner.n_warmup_steps", [0], [-1]),
    (pruner["threshold"], "hydra.sweeper.pruner.interval_steps", [1], [0]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


REFUSED: list[tuple[Make, dict[str, Any], str]] = [
    (pruner["successive_halving"], {"bootstrap_count": 1}, r"bootstrap_count: .* set hydra\.sweeper\.pruner\.min_res"),
    (pruner["hyperband"], {"bootstrap_count": 1}, r"bootstrap_count: .* set hydra\.sweeper\.pruner\.max_resource"),
    (pruner["hyperband"], {"min_resource": 9, "max_resource": 3}, r"pruner\.m(in|ax)_resource: "),
    (pruner["threshold"], {"lower": None, "upper": None}, r"threshold needs a bound; set .*pruner\.lower or \.upper"),
    (pruner["threshold"], {"lower": 0.9, "upper": 0.1}, r"^hydra\.sweeper\.pruner\.lower: 0\.9 is above upper=0\.1"),
]
ALLOWED: list[tuple[Make, dict[str, Any]]] = [
    (pruner["successive_halving"], {"bootstrap_count": 1, "min_resource": 1}),
    (pruner["hyperband"], {"bootstrap_count": 1, "max_resource": 9}),
    (pruner["hyperband"], {"min_resource": 3, "max_resource": 3}),
    (pruner["threshold"], {"lower": 0.5, "upper": 0.5}),
]
test_settings_that_do_not_go_together_are_refused_with_the_reason, test_settings_that_go_together_are_taken = (
    combination_tests(REFUSED, ALLOWED)
)


@pytest.mark.parametrize("make", pruner.values())
def test_every_pruner_needs_no_setting_beyond_its_name(make: Make) -> None:
    assert isinstance(make(), PrunerConfig)
