"""What `hydra.sweeper.*` may say, and the values of a dimension."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import ConfigError
from src.schema.kinds import REGISTRY
from src.schema.space import Choice, Dimension, Interval, Scalar
from src.schema.sweep import PrunerConfig, SamplerConfig, SweeperConfig
from tests.support.configs import INF, NAN, Make, Ranges, range_tests

# --- settings ------------------------------------------------------------------------------------------------------

sampler: dict[str, Make] = dict(REGISTRY["sampler"].kinds)
pruner: dict[str, Make] = dict(REGISTRY["pruner"].kinds)
pruner["threshold"] = partial(pruner["threshold"], lower=0.0, upper=1.0)
NONE, MEDIAN = pruner["none"](), pruner["median"]()


def sweeper(**changes: Any) -> SweeperConfig:
    settings = {"name": "mine", "sampler": sampler["tpe"](), "pruner": NONE, "n_trials": 20}
    return SweeperConfig(**settings | changes)


SETTINGS: Ranges = [
    (sweeper, "hydra.sweeper.n_trials hydra.sweeper.n_jobs hydra.sweeper.max_failures", [1], [0, -1]),
    (sweeper, "hydra.sweeper.max_retries", [0], [-1]),
    (sweeper, "hydra.sweeper.timeout", [None, 0.001], [0.0, -1.0, NAN]),
    (sweeper, "hydra.sweeper.direction", [None, "maximize", "minimize"], ["max", ""]),
    (sweeper, "hydra.sweeper.save_models", ["best", "all", "none"], ["some", ""]),
    (sweeper, "hydra.sweeper.on_change", ["error", "continue"], ["ignore"]),
    (sweeper, "hydra.sweeper.study_name hydra.sweeper.save_best_as", [None, "a b"], ["", " ", "a/b", "a\\b"]),
    *[(make, "hydra.sweeper.sampler.seed", [0, 2**32 - 1], [-1, 2**32]) for make in sampler.values()],
    *[(sampler[name], "hydra.sweeper.sampler.n_startup_trials", [1], [0, -1]) for name in ("tpe", "cmaes", "gp")],
    (sampler["tpe"], "hydra.sweeper.sampler.n_ei_candidates", [1], [0]),
    (sampler["qmc"], "hydra.sweeper.sampler.qmc_type", ["sobol", "halton"], ["Sobol", ""]),
]
PRUNING: Ranges = [
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
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(SETTINGS + PRUNING)


REFUSED: list[tuple[Make, dict[str, Any], str]] = [
    (sweeper, {"n_trials": None}, r"n_trials: tpe never runs out of trials; give a number"),
    (
        sweeper,
        {"sampler": sampler["grid"](), "pruner": MEDIAN},
        r"^hydra/sweeper/pruner=median: a grid .*remove `.*=median`$",
    ),
    (pruner["successive_halving"], {"bootstrap_count": 1}, r"bootstrap_count: .* set hydra\.sweeper\.pruner\.min_res"),
    (pruner["hyperband"], {"bootstrap_count": 1}, r"bootstrap_count: .* set hydra\.sweeper\.pruner\.max_resource"),
    (pruner["hyperband"], {"min_resource": 9, "max_resource": 3}, r"pruner\.m(in|ax)_resource: "),
    (pruner["threshold"], {"lower": None, "upper": None}, r"threshold needs a bound; set .*pruner\.lower or \.upper"),
    (pruner["threshold"], {"lower": 0.9, "upper": 0.1}, r"^hydra\.sweeper\.pruner\.lower: 0\.9 is above upper=0\.1"),
]


@pytest.mark.parametrize(("make", "changes", "sentence"), REFUSED)
def test_settings_that_do_not_go_together_are_refused_with_the_reason(
    make: Make, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make(**changes)


ALLOWED: list[tuple[Make, dict[str, Any]]] = [
    (sweeper, {"n_trials": None, "sampler": sampler["grid"]()}),
    (sweeper, {"pruner": MEDIAN}),
    (pruner["successive_halving"], {"bootstrap_count": 1, "min_resource": 1}),
    (pruner["hyperband"], {"bootstrap_count": 1, "max_resource": 9}),
    (pruner["hyperband"], {"min_resource": 3, "max_resource": 3}),
    (pruner["threshold"], {"lower": 0.5, "upper": 0.5}),
]


@pytest.mark.parametrize(("make", "changes"), ALLOWED)
def test_settings_that_go_together_are_taken(make: Make, changes: dict[str, Any]) -> None:
    made = make(**changes)
    assert {key: getattr(made, key) for key in changes} == changes


@pytest.mark.parametrize("make", [*sampler.values(), *pruner.values()])
def test_every_sampler_and_pruner_needs_no_setting_beyond_its_name(make: Make) -> None:
    assert isinstance(make(), SamplerConfig | PrunerConfig)


# --- dimensions ----------------------------------------------------------------------------------------------------

NOT_A_DIMENSION: list[tuple[Make, dict[str, Any], str]] = [
    (
        Interval,
        {"low": 9, "high": 4},
        r"above the upper one; write int\(interval\(4,9\)\) instead of int\(interval\(9,4\)\)$",
    ),
    (Interval, {"low": 0, "high": INF}, r"the bounds 0 and inf must be finite"),
    (Interval, {"low": NAN, "high": 1}, r"the bounds nan and 1 must be finite"),
    (Interval, {"low": 0, "high": 1.0, "log": True}, r"above 0, not at 0; write .* tag\(log,interval\(0\.001,1\)\)$"),
    (Interval, {"low": -1, "high": 1, "log": True}, r"above 0, not at -1"),
    (Choice, {"names": (), "values": ()}, r"nothing to choose from"),
]


@pytest.mark.parametrize(("make", "wrong", "sentence"), NOT_A_DIMENSION)
def test_what_no_value_can_be_drawn_from_is_refused_by_its_name(
    make: Make, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.dropout: .*{sentence}"):
        make("model.dropout", **wrong)


OPTIONS: list[tuple[Dimension, Any]] = [
    (Interval("x", 3, 5), (3, 4, 5)),
    (Interval("x", 3, 3), (3,)),
    (Interval("x", -3, 4, step=3), (-3, 0, 3)),
    (Interval("x", 1, 9, step=4), (1, 5, 9)),
    (Interval("x", 0.0, 0.3, step=0.1), pytest.approx((0, 0.1, 0.2, 0.3))),
    (Interval("x", -0.5, 0.5, step=0.25), (-0.5, -0.25, 0.0, 0.25, 0.5)),
    (Interval("x", 0.0, 1.0), None),
    (Interval("x", 1, 9, log=True), None),
    (Choice("x", (3, "[5]", None), (3, [5], None)), (3, "[5]", None)),
]


@pytest.mark.parametrize(("dimension", "options"), OPTIONS)
def test_the_options_are_every_value_or_none_where_they_have_no_end(dimension: Dimension, options: Any) -> None:
    assert dimension.options() == options


@given(low=st.integers(-50, 50), steps=st.integers(0, 20), step=st.integers(1, 30), scale=st.sampled_from([10, 100]))
def test_no_option_lies_outside_of_its_interval(low: int, steps: int, step: int, scale: int) -> None:
    first, last = low / scale, (low + steps * step) / scale
    options: Any = Interval("x", first, last, step=step / scale).options()
    assert len(options) == steps + 1
    assert all(first <= option <= last for option in options)


@pytest.mark.parametrize(("option", "value"), [(3, 3), ("[120,84]", [120, 84]), (None, None)])
def test_an_option_of_a_choice_stands_for_its_value(option: Scalar, value: object) -> None:
    assert Choice("model.dense", (3, "[120,84]", None), (3, [120, 84], None)).value(option) == value


def test_an_option_of_an_interval_is_its_value() -> None:
    assert Interval("model.dropout", 0.0, 0.5).value(0.25) == 0.25


SHOWN: list[tuple[Dimension, str]] = [
    (Interval("x", 4, 32), "4 to 32"),
    (Interval("x", 1e-4, 0.01, log=True), "0.0001 to 0.01 (log)"),
    (Interval("x", 0.0, 0.4, step=0.1), "0 to 0.4 in steps of 0.1"),
    (Choice("x", ("relu", None, True, 0.5), ("relu", None, True, 0.5)), "relu, null, True, 0.5"),
]


@pytest.mark.parametrize(("dimension", "text"), SHOWN)
def test_a_dimension_is_shown_in_the_words_of_the_command_line(dimension: Dimension, text: str) -> None:
    assert str(dimension) == text
