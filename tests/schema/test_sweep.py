"""The settings `hydra.sweeper.*`."""

from typing import Any

from src.schema.kinds import REGISTRY
from src.schema.pruners import MedianConfig, NoPrunerConfig
from src.schema.sweep import SweeperConfig
from tests.support.configs import INF, NAN, Make, Ranges, combination_tests, range_tests

sampler: dict[str, Make] = dict(REGISTRY["sampler"].kinds)
NONE, MEDIAN = NoPrunerConfig(), MedianConfig()


def sweeper(**changes: Any) -> SweeperConfig:
    settings = {"name": "mine", "sampler": sampler["tpe"](), "pruner": NONE, "n_trials": 20}
    return SweeperConfig(**settings | changes)


SETTINGS: Ranges = [
    (sweeper, "hydra.sweeper.n_trials hydra.sweeper.n_jobs hydra.sweeper.max_failures", [1], [0, -1]),
    (sweeper, "hydra.sweeper.max_retries", [0], [-1]),
    (sweeper, "hydra.sweeper.gpus_per_worker", [None, 0, 0.25, 1, 4.0], [-1, 1.5, NAN, INF]),
    (sweeper, "hydra.sweeper.timeout", [None, 0.001], [0.0, -1.0, NAN]),
    (sweeper, "hydra.sweeper.direction", [None, "maximize", "minimize"], ["max", ""]),
    (sweeper, "hydra.sweeper.save_models", ["best", "all", "none"], ["some", ""]),
    (sweeper, "hydra.sweeper.on_change", ["error", "continue"], ["ignore"]),
    (sweeper, "hydra.sweeper.study_name hydra.sweeper.save_best_as", [None, "a b"], ["", " ", "a/b", "a\\b"]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(SETTINGS)


OBJECTIVES = {"objectives": ["val_accuracy", "parameters"]}
REFUSED: list[tuple[Make, dict[str, Any], str]] = [
    (sweeper, {"objectives": ["val_accuracy"]}, r"^hydra\.sweeper\.objectives=\[val_accuracy\]: a single objective is"),
    (
        sweeper,
        OBJECTIVES | {"direction": "maximize"},
        r"^hydra\.sweeper\.direction=maximize: .*; remove `hydra",
    ),
    (
        sweeper,
        OBJECTIVES | {"save_best_as": "mine"},
        r"^hydra\.sweeper\.save_best_as=mine: .*copy a recipe from",
    ),
    (sweeper, OBJECTIVES | {"sampler": sampler["cmaes"]()}, r"^hydra/sweeper/sampler=cmaes .*sampler=tpe or nsgaii"),
    (sweeper, OBJECTIVES | {"pruner": MEDIAN}, r"^hydra/sweeper/pruner=median: .* use hydra/sweeper/pruner=none"),
    (sweeper, {"n_trials": None}, r"n_trials: tpe never runs out of trials; give a number"),
    (
        sweeper,
        {"sampler": sampler["grid"](), "pruner": MEDIAN},
        r"^hydra/sweeper/pruner=median: a grid .*remove `.*=median`$",
    ),
    (
        sweeper,
        {"constraints": {"parameter": 1.0}},
        r"^hydra\.sweeper\.constraints: no cost 'parameter'; did you mean 'parameters'\? the costs are parameters, ",
    ),
    (
        sweeper,
        {"constraints": {"flops": 1.0}},
        r"no cost 'flops'; the costs are parameters, model_mb, latency_ms$",
    ),
    *[
        (sweeper, {"constraints": {"parameters": value}}, rf"^hydra\.sweeper\.constraints\.parameters: got {value!r}, ")
        for value in (0.0, -1.0, NAN, INF)
    ],
    (
        sweeper,
        {"constraints": {"parameters": 1.0}, "sampler": sampler["cmaes"]()},
        r"^hydra\.sweeper\.constraints: hydra/sweeper/sampler=cmaes learns from trained .*; use .*sampler=tpe$",
    ),
]
ALLOWED: list[tuple[Make, dict[str, Any]]] = [
    (sweeper, {"n_trials": None, "sampler": sampler["grid"]()}),
    (sweeper, {"pruner": MEDIAN}),
    *[
        (sweeper, {"constraints": {"parameters": 0.5}, "sampler": make()})
        for name, make in sampler.items()
        if name != "cmaes"
    ],
    (sweeper, {"constraints": {"parameters": None}, "sampler": sampler["cmaes"]()}),
    *[
        (sweeper, OBJECTIVES | {"sampler": sampler[name]()})
        for name in ("tpe", "nsgaii", "random", "qmc", "grid", "gp")
    ],
]
test_settings_that_do_not_go_together_are_refused_with_the_reason, test_settings_that_go_together_are_taken = (
    combination_tests(REFUSED, ALLOWED)
)


def test_costs_are_measured_for_each_limit_and_objective_in_the_order_of_their_table() -> None:
    limited = sweeper(constraints={"latency_ms": 2.0, "model_mb": None}, objectives=["val_accuracy", "parameters"])
    assert limited.limits == {"latency_ms": 2.0}
    assert limited.costs == ["parameters", "latency_ms"]
    assert sweeper().costs == []
