"""Samplers and pruners: every file of conf/ gives the Optuna object that it names, and proposals come from the seed."""

from dataclasses import fields, replace
from importlib.util import find_spec
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import create_trial

from src import schema
from src.cli.compose import CONF, compose
from src.errors import ConfigError
from src.schema import Choice, Dimension, Interval, Objective, SamplerConfig, Scalar, SweeperConfig
from src.study import Storage, check_sampler, picker
from src.study.sampling import build_pruner, build_sampler
from tests.support.studies import claimed, claims_on

FOLDER = CONF / "hydra" / "sweeper"
SAMPLER_NAMES = sorted(path.stem for path in (FOLDER / "sampler").glob("*.yaml"))
PRUNER_NAMES = sorted(path.stem for path in (FOLDER / "pruner").glob("*.yaml"))

# What each name stands for, and a value for each of its settings that is not the default.
SAMPLERS: dict[str, tuple[type[BaseSampler], dict[str, Any]]] = {
    "tpe": (TPESampler, {"n_startup_trials": 3, "n_ei_candidates": 7}),
    "random": (RandomSampler, {}),
    "grid": (RandomSampler, {}),
    "qmc": (QMCSampler, {"qmc_type": "halton", "scramble": False}),
    "cmaes": (CmaEsSampler, {"n_startup_trials": 3}),
    "gp": (GPSampler, {"n_startup_trials": 3}),
    "nsgaii": (NSGAIISampler, {"population_size": 7}),
}
MEDIAN = {"n_startup_trials": 3, "n_warmup_steps": 2, "interval_steps": 4, "n_min_trials": 5}
PRUNERS: dict[str, tuple[type[BasePruner], dict[str, Any]]] = {
    "none": (NopPruner, {}),
    "median": (MedianPruner, MEDIAN),
    "percentile": (PercentilePruner, {**MEDIAN, "percentile": 40.0}),
    "hyperband": (
        HyperbandPruner,
        {"min_resource": 2, "max_resource": 9, "reduction_factor": 4, "bootstrap_count": 1},
    ),
    "successive_halving": (
        SuccessiveHalvingPruner,
        {"min_resource": 2, "reduction_factor": 3, "min_early_stopping_rate": 1, "bootstrap_count": 1},
    ),
    "patient": (PatientPruner, {"patience": 4, "min_delta": 0.25}),
    "threshold": (ThresholdPruner, {"lower": 0.25, "upper": 0.75, "n_warmup_steps": 2, "interval_steps": 3}),
}


def composed(*overrides: str) -> SweeperConfig:
    """`hydra.sweeper`, as these overrides of a search compose it."""
    config = compose("train", ["hydra/sweeper=optuna", *overrides], with_hydra=True)
    settings = OmegaConf.to_object(config.hydra.sweeper)
    assert isinstance(settings, SweeperConfig)
    return settings


def typed(group: str, settings: dict[str, Any]) -> list[str]:
    return [f"hydra.sweeper.{group}.{key}={value}" for key, value in settings.items()]


def kept_by(built: object, settings: dict[str, Any]) -> dict[str, Any]:
    """What the Optuna object has for each of these settings."""
    return {key: vars(built)[f"_{key}"] for key in settings}


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_a_samplers_file_gives_the_sampler_that_it_names_with_every_setting(name: str):
    kind, settings = SAMPLERS[name]
    config = composed(f"hydra/sweeper/sampler={name}", *typed("sampler", settings)).sampler
    assert type(config) is schema.find_kind("sampler", name)
    assert {field.name for field in fields(config)} == {"name", "seed", *settings}
    sampler = build_sampler(config, 0)
    assert type(sampler) is kind
    assert kept_by(sampler, settings) == settings


@pytest.mark.parametrize("name", PRUNER_NAMES)
def test_a_pruners_file_gives_the_pruner_that_it_names_with_every_setting(name: str):
    kind, settings = PRUNERS[name]
    config = composed(f"hydra/sweeper/pruner={name}", *typed("pruner", settings)).pruner
    assert type(config) is schema.find_kind("pruner", name)
    assert {field.name for field in fields(config)} == {"name", *settings}
    pruner = build_pruner(config)
    assert type(pruner) is kind
    assert kept_by(pruner, settings) == settings


@pytest.mark.parametrize(("name", "resource"), [("hyperband", "max_resource"), ("successive_halving", "min_resource")])
def test_a_resource_that_is_null_is_found_out_from_the_trials(name: str, resource: str):
    study = optuna.create_study(pruner=build_pruner(composed(f"hydra/sweeper/pruner={name}").pruner))
    for _ in range(3):
        trial = study.ask()
        for epoch in range(1, 10):
            trial.report(0.5, epoch)
            trial.should_prune()
        study.tell(trial, 0.5)
    assert isinstance(vars(study.pruner)[f"_{resource}"], int)


# --- seeds ---------------------------------------------------------------------------------------------------------

SPACE = (Interval("x", 0.0, 1.0), Interval("y", 1, 1000), Choice("z", ("a", "b"), ("a", "b")))


def sampler_config(name: str, seed: int = 1) -> SamplerConfig:
    config: Any = schema.find_kind("sampler", name)
    return config(seed=seed)


def study_with(n_trials: int) -> optuna.Study:
    """A study that has completed trials."""
    study = optuna.create_study()
    distributions: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0.0, 1.0),
        "y": IntDistribution(1, 1000),
        "z": CategoricalDistribution(("a", "b")),
    }
    for number in range(n_trials):
        value = number / n_trials
        params = {"x": value, "y": 1 + number, "z": "ab"[number % 2]}
        study.add_trial(create_trial(params=params, distributions=distributions, value=value))
    return study


def proposal(config: SamplerConfig, n_trials: int) -> list[Scalar]:
    study = study_with(n_trials)
    study.sampler = build_sampler(config, n_trials)
    pick = picker(study.ask())
    return [pick(dimension) for dimension in SPACE]


CASES = [(name, n) for name in SAMPLER_NAMES for n in (0, 1, 2, 12) if name != "gp" or n < 10]  # then gp needs PyTorch


@pytest.mark.parametrize(("name", "n_trials"), CASES)
def test_the_same_seed_and_number_of_trials_give_the_same_proposal(name: str, n_trials: int):
    assert proposal(sampler_config(name), n_trials) == proposal(sampler_config(name), n_trials)


@pytest.mark.parametrize(("name", "n_trials"), [case for case in CASES if case[0] != "qmc"])  # a sequence, see below
def test_another_number_of_trials_gives_another_proposal(name: str, n_trials: int):
    assert proposal(sampler_config(name), n_trials) != proposal(sampler_config(name), n_trials + 1)


@pytest.mark.parametrize(("name", "n_trials"), CASES)
def test_another_seed_gives_another_proposal(name: str, n_trials: int):
    assert proposal(sampler_config(name), n_trials) != proposal(sampler_config(name, seed=2), n_trials)


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_the_largest_seed_can_be_used_with_any_number_of_trials(name: str):
    build_sampler(sampler_config(name, seed=2**32 - 1), 12_345)


@pytest.mark.parametrize("settings", [{}, {"scramble": False}, {"qmc_type": "halton"}])
def test_qmc_goes_through_one_sequence_though_its_sampler_is_made_anew_for_each_trial(settings: dict[str, Any]):
    def propose(study: optuna.Study) -> list[Scalar]:
        pick = picker(trial := study.ask())
        proposed = [pick(dimension) for dimension in SPACE]
        study.tell(trial, 0.5)
        return proposed

    config = replace(sampler_config("qmc"), **settings)
    renewed = optuna.create_study()
    one = optuna.create_study(sampler=build_sampler(config, 0))
    proposals = []
    for number in range(8):
        renewed.sampler = build_sampler(config, number)
        proposals.append(propose(renewed))
    assert proposals == [propose(one) for _ in range(8)]
    assert len({repr(proposed) for proposed in proposals}) == 8


def test_qmc_proposes_something_else_after_a_first_trial_that_failed(memory: Storage):
    claims = claims_on(memory, n_trials=4, sampler="qmc")
    for _ in range(3):
        claims.fail(claimed(claims), "me", "it cannot be built", {})
    assert len({trial.params["x"] for trial in claims.trials()}) == 3


def test_cmaes_continues_its_generations_although_each_trial_has_a_new_sampler():
    study = optuna.create_study()
    for number in range(60):
        study.sampler = build_sampler(sampler_config("cmaes"), number)
        pick = picker(trial := study.ask())
        x, y = pick(Interval("x", -1.0, 1.0)), pick(Interval("y", -1.0, 1.0))
        assert isinstance(x, float)
        assert isinstance(y, float)
        study.tell(trial, (x - 0.3) ** 2 + (y + 0.4) ** 2)
    values = [trial.value or 0.0 for trial in study.trials]
    assert sum(values[-15:]) < sum(values[:15]) / 10


# --- several objectives --------------------------------------------------------------------------------------------

SIZE = Objective("parameters", "minimize")


@pytest.mark.parametrize("name", [name for name in SAMPLER_NAMES if sampler_config(name).needs_package is None])
def test_a_sampler_optimizes_several_objectives_or_says_that_it_cannot(memory: Storage, name: str):
    claims = claims_on(memory, n_trials=8, others=[SIZE], sampler=name)

    def draw(trial: optuna.Trial) -> list[Scalar]:
        pick = picker(trial)
        return [pick(Interval("x", -1.0, 1.0)), pick(Interval("y", -1.0, 1.0))]

    with claims.alive("me"):
        for _ in range(8):
            found = claims.claim("me", draw)
            assert isinstance(found, tuple)
            trial, drawn = found
            if isinstance(drawn, Exception):
                assert not sampler_config(name).takes_objectives
                claims.fail(trial, "me", str(drawn), {})
            else:
                x, y = map(float, drawn)  # type: ignore[arg-type]
                assert claims.complete(trial, "me", [-((x - 0.3) ** 2), y**2], {})
    states = {trial.state.name for trial in claims.trials()}
    assert states == ({"COMPLETE"} if sampler_config(name).takes_objectives else {"FAIL"})


def test_nsgaii_continues_its_generations_although_each_trial_has_a_new_sampler():
    study = optuna.create_study(directions=["minimize", "minimize"])
    config = replace(sampler_config("nsgaii"), population_size=8)  # type: ignore[call-arg]
    for number in range(64):
        study.sampler = build_sampler(config, number)
        pick = picker(trial := study.ask())
        x, y = pick(Interval("x", -2.0, 2.0)), pick(Interval("y", -2.0, 2.0))
        assert isinstance(x, float)
        assert isinstance(y, float)
        study.tell(trial, (x**2 + y**2, (x - 1) ** 2 + y**2))
    generations = [
        value for trial in study.trials for name, value in trial.system_attrs.items() if name.endswith("generation")
    ]
    assert generations == [number // 8 for number in range(64)]
    inherited = [trial.params["x"] in {before.params["x"] for before in study.trials[:8]} for trial in study.trials]
    assert any(inherited[8:])  # from a parent; random numbers are never the same


# --- a trial's answers ---------------------------------------------------------------------------------------------

LISTS = Choice("model.dense", ("[120,84]", "[]"), ([120, 84], []))
DIMENSIONS: list[tuple[Dimension, BaseDistribution]] = [
    (Interval("model.conv.0.filters", 4, 32), IntDistribution(4, 32)),
    (Interval("batch", 16, 64, step=16), IntDistribution(16, 64, step=16)),
    (Interval("units", 1, 1000, log=True), IntDistribution(1, 1000, log=True)),
    (Interval("one", 3, 3), IntDistribution(3, 3)),
    (Interval("model.dropout", 0.0, 0.5), FloatDistribution(0.0, 0.5)),
    (Interval("mixed", 0, 0.5), FloatDistribution(0.0, 0.5)),
    (Interval("stepped", 0.0, 0.5, step=0.25), FloatDistribution(0.0, 0.5, step=0.25)),
    (Interval("rate", 1e-4, 1e-2, log=True), FloatDistribution(1e-4, 1e-2, log=True)),
    (Choice("kernel", (3, 5, 7), (3, 5, 7)), CategoricalDistribution((3, 5, 7))),
    (Choice("any", (None, True, 0.5, "a"), (None, True, 0.5, "a")), CategoricalDistribution((None, True, 0.5, "a"))),
    (LISTS, CategoricalDistribution(("[120,84]", "[]"))),
    (Choice("model", ("lenot",), ("lenot",)), CategoricalDistribution(("lenot",))),
]


@pytest.mark.parametrize(("dimension", "distribution"), DIMENSIONS, ids=lambda value: str(value))
def test_an_answer_is_kept_in_the_study_under_the_dimensions_own_name(
    dimension: Dimension, distribution: BaseDistribution
):
    trial = optuna.create_study(sampler=RandomSampler(seed=1)).ask()
    picked = picker(trial)(dimension)
    assert trial.params == {dimension.name: picked}
    assert trial.distributions == {dimension.name: distribution}


def test_a_list_that_is_chosen_is_kept_as_text_and_leads_back_to_the_list():
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    study.enqueue_trial({"model.dense": "[120,84]"})
    picked = picker(study.ask())(LISTS)
    assert picked == "[120,84]"
    assert LISTS.value(picked) == [120, 84]


def test_asking_twice_for_a_dimension_gives_the_same_answer():
    pick = picker(optuna.create_study(sampler=RandomSampler(seed=1)).ask())
    assert pick(SPACE[0]) == pick(SPACE[0])


# --- what a sampler cannot do --------------------------------------------------------------------------------------

KERNEL = Choice("model.conv.0.kernel_size", (3, 5), (3, 5))


@pytest.mark.parametrize("name", ["cmaes"])
def test_a_sampler_of_numbers_refuses_a_space_of_choices(name: str):
    sentence = (
        rf"hydra/sweeper/sampler={name} searches only numbers, and this space has only choices "
        r"\(model\.conv\.0\.kernel_size, model\); use interval\(.*hydra/sweeper/sampler=tpe$"
    )
    with pytest.raises(ConfigError, match=sentence):
        check_sampler(sampler_config(name), [KERNEL, Choice("model", ("lenot",), ("lenot",))])


@pytest.mark.parametrize("name", ["cmaes", "qmc"])
def test_a_sampler_of_numbers_accepts_choices_if_there_is_a_number(name: str):
    check_sampler(sampler_config(name), [KERNEL, SPACE[0]])


@pytest.mark.parametrize("name", ["tpe", "random", "grid"])
def test_other_samplers_take_a_space_of_choices(name: str):
    check_sampler(sampler_config(name), [KERNEL])


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_gp_without_pytorch_is_refused_with_what_to_install():
    with pytest.raises(ConfigError, match=r"the package torch: pip install torch, or use .*=tpe"):
        check_sampler(sampler_config("gp"), SPACE)
