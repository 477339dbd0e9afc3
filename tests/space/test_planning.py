"""From what was typed to a space: which dimensions there are, what is drawn from them, and what is refused."""

import itertools
import pickle
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.cli.compose import CONF
from src.cli.mistakes import explain
from src.errors import ConfigError
from src.schema import REGISTRY, Choice, Interval, Objective, Scalar
from src.schema.optimizer import AdamConfig
from tests.support.sweeps import plan
from tests.support.workplace import Workplace

OPTUNA = "hydra/sweeper=optuna"
ANY = ["model.dropout=0.1,0.2"]  # something to sweep over, where it does not matter what


def search_file(folder: Path, **hydra_settings: Any) -> list[str]:
    """The overrides that choose a search of one's own, `hparams_search=mine`, which sets these things under `hydra`."""
    return search_text(folder, yaml.safe_dump({"hydra": {"mode": "MULTIRUN"} | hydra_settings}))


def search_text(folder: Path, text: str) -> list[str]:
    (folder / "hparams_search").mkdir()
    head = "# @package _global_\ndefaults:\n  - override /hydra/sweeper: optuna\n"
    (folder / "hparams_search" / "mine.yaml").write_text(head + text)
    return ["hparams_search=mine", f"hydra.searchpath=['{folder}']"]


# --- empty values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("training.initial_weights='',x", "initial_weights: got an empty string as one of its values; .*, or null"),
        (
            "training.monitor=choice(loss,' ')",
            "training.monitor: got an empty string as one of its values; give a value$",
        ),
        ("dataset.class_names=[a,''],[b,c]", "dataset.class_names: got an empty string as one of its values"),
        ("model='',lenot", "model: got an empty option; known: alexnet"),
    ],
)
def test_an_empty_choice_is_refused_before_anything_is_trained(typed: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(typed)


def test_an_empty_setting_in_a_search_file_is_refused(tmp_path: Path) -> None:
    typed = search_file(tmp_path, sweeper={"study_name": " ", "params": {"seed": "1,2"}})
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.study_name: got an empty string; .* or null"):
        plan(*typed)


def test_an_empty_tag_may_be_one_of_several() -> None:
    assert plan("tags.note='',b").space.dimensions[0].options() == ("", "b")


# --- dimensions ----------------------------------------------------------------------------------------------------


def options_of(group: str, *names: str) -> Choice:
    return Choice(group, names, names)


FILTERS, RATE, DENSE = "model.conv.0.filters", "optimizer.learning_rate", "model.dense"
DIMENSIONS: list[tuple[str, Any]] = [
    ("model.dropout=interval(0,0.5)", Interval("model.dropout", 0.0, 0.5)),
    (f"{FILTERS}=int(interval(4,32))", Interval(FILTERS, 4, 32)),
    (f"{RATE}=tag(log,interval(1e-4,1e-2))", Interval(RATE, 1e-4, 1e-2, log=True)),
    (f"{FILTERS}=tag(log,int(interval(4,32)))", Interval(FILTERS, 4, 32, log=True)),
    ("seed=range(1,7,2)", Interval("seed", 1, 5, step=2)),
    ("seed=range(1,8,2)", Interval("seed", 1, 7, step=2)),
    ("seed=range(3)", Interval("seed", 0, 2, step=1)),
    ("model.dropout=range(0,1,0.25)", Interval("model.dropout", 0.0, 0.75, step=0.25)),
    ("seed=3,1,2", Choice("seed", (3, 1, 2), (3, 1, 2))),
    ("seed=choice(3)", Choice("seed", (3,), (3,))),
    ("model.activation=relu,'tanh'", Choice("model.activation", ("relu", "tanh"), ("relu", "tanh"))),
    ("training.deterministic=true,false", Choice("training.deterministic", (True, False), (True, False))),
    ("model.conv.1.pool=null,max", Choice("model.conv.1.pool", (None, "max"), (None, "max"))),
    (f"{DENSE}=[],[120,84]", Choice(DENSE, ("[]", "[120,84]"), ([], [120, 84]))),
    ("+seed=1,2", Choice("seed", (1, 2), (1, 2))),
    ("model=lenot,lenet5", options_of("model", "lenot", "lenet5")),
    ("model=glob(cnn_mnist*)", options_of("model", "cnn_mnist_v1", "cnn_mnist_v2")),
    ("model=glob(*l*t*,exclude=[alex*,google*])", options_of("model", "lenet5", "lenot")),
]


@pytest.mark.parametrize(("typed", "dimension"), DIMENSIONS)
def test_what_is_typed_becomes_a_dimension(typed: str, dimension: object) -> None:
    assert repr(plan(OPTUNA, typed).space.dimensions) == repr((dimension,))  # 4 is not 4.0


def own_model(folder: Path) -> str:
    """`model=mine`, LeNot with a dropout, as a file of a folder of one's own; the override that names the folder."""
    (folder / "model").mkdir()
    (folder / "model" / "mine.yaml").write_text("defaults:\n  - lenot\n  - _self_\ndropout: 0.25\n")
    return f"hydra.searchpath=['{folder}']"


def test_a_pattern_finds_options_in_a_folder_of_one_s_own(tmp_path: Path) -> None:
    space = plan(OPTUNA, own_model(tmp_path), "model=glob([mi*,lenot])").space
    assert repr(space.dimensions) == repr((options_of("model", "lenot", "mine"),))


INTEGERS, STEPS = st.integers(1, 60), st.integers(-30, 30)
RANGES = st.tuples(INTEGERS, INTEGERS, STEPS).filter(lambda it: it[2] and (it[1] - it[0]) / it[2] > 0)
WHOLE, FRACTIONAL = (
    ("seed", "training.epochs", "training.batch_size"),
    (RATE, "optimizer.epsilon", "optimizer.clipnorm"),
)


def options(typed: list[str]) -> dict[str, list[Any]]:
    """The members of each range by its name, of which none lies outside of its dimension."""
    found: dict[str, list[Any]] = {}
    for key in plan(OPTUNA, *typed).space.keys:
        assert isinstance(key, Interval)
        found[key.name] = list(key.options() or ())
        assert key.low <= min(found[key.name])
        assert max(found[key.name]) <= key.high
    return found


@settings(deadline=None, max_examples=5)
@given(ranges=st.lists(RANGES, min_size=3, max_size=3))
@example(ranges=[(7, 1, -2), (1, 2, 5), (1, 5, 2)])
def test_a_range_of_whole_numbers_has_the_members_that_hydra_gives_it(ranges: list[tuple[int, int, int]]) -> None:
    typed = [f"{name}=range({start},{stop},{step})" for name, (start, stop, step) in zip(WHOLE, ranges, strict=True)]
    members = options(typed)
    for override, (start, stop, _) in zip(OverridesParser.create().parse_overrides(typed), ranges, strict=True):
        found = members[override.key_or_group]
        assert sorted(found) == sorted(override.sweep_iterator())  # type: ignore[type-var]
        assert all(min(start, stop) <= member <= max(start, stop) for member in found)
        assert stop not in found


@settings(deadline=None, max_examples=5)
@given(ranges=st.lists(RANGES, min_size=3, max_size=3))
@example(ranges=[(1, 5, 1), (10, 1, -3), (2, 7, 2)])  # Hydra's own would continue to 0.5, 0.1 and 0.7
def test_a_range_of_fractions_has_the_members_that_one_reads_in_it(ranges: list[tuple[int, int, int]]) -> None:
    tenths = {name: [number / 10 for number in it] for name, it in zip(FRACTIONAL, ranges, strict=True)}
    found = options([f"{name}=range({start},{stop},{step})" for name, (start, stop, step) in tenths.items()])
    for name, (start, stop, step) in zip(FRACTIONAL, ranges, strict=True):
        assert sorted(found[name]) == pytest.approx(sorted(number / 10 for number in range(start, stop, step)))


@pytest.mark.parametrize("typed", [f"{RATE}=interval(0,0.1)", "model.dropout=interval(0,1)"])
def test_an_interval_may_end_at_a_number_that_its_key_must_not_have(typed: str) -> None:
    assert plan(OPTUNA, typed).space.keys  # it is never drawn


def test_values_that_do_not_fit_together_are_left_to_the_trials_that_have_them() -> None:
    assert plan("model.conv.0.kernel_size=3,40").space.keys


NUMBERS = st.floats(1e-300, 1e6, allow_subnormal=False)  # a learning rate must be above 0


@settings(deadline=None, max_examples=5)
@given(bounds=st.lists(NUMBERS, min_size=2, max_size=2).map(sorted), where=st.floats(0, 1))
def test_any_number_of_an_interval_reaches_the_configuration_as_it_was_picked(bounds: Any, where: float) -> None:
    low, high = bounds
    space = plan(OPTUNA, f"{RATE}=interval({low!r},{high!r})").space
    assert space.keys == (Interval(RATE, low, high),)
    picked = min(high, low + where * (high - low))
    assert space.draw_from({RATE: picked}).optimizer.learning_rate == picked


# --- what is drawn -------------------------------------------------------------------------------------------------


def test_a_drawn_configuration_has_the_picked_group_and_values_and_all_that_was_fixed() -> None:
    space = plan("model=lenot,lenet5", f"{DENSE}=[],[7,5]", "training.epochs=3").space
    config = space.draw_from({"model": "lenet5", DENSE: "[7,5]"})
    assert (config.model.name, config.training.epochs) == ("lenet5", 3)
    assert vars(config.model)["dense"] == [7, 5]


def test_drawing_leaves_the_space_as_it_was() -> None:
    space = plan(OPTUNA, f"{FILTERS}=int(interval(4,32))").space
    before = space.trees()
    space.draw_from({FILTERS: 32})
    assert space.trees() == before


def test_a_list_of_blocks_can_be_chosen_whole() -> None:
    space = plan("model.conv=[{filters: 4}],[{filters: 8},{filters: 9, kernel_size: 1}]").space
    blocks = [vars(space.draw_from(params).model)["conv"] for params in space.grid()]
    assert [[(block.filters, block.kernel_size) for block in found] for found in blocks] == [[(4, 3)], [(8, 3), (9, 1)]]


TIED = "model.conv.1.filters=${model.conv.0.filters}"


@pytest.mark.parametrize("typed", [TIED, f"{TIED},${{seed}}"])
def test_values_that_are_tied_by_interpolation_stay_tied(typed: str) -> None:
    space = plan(typed, f"{FILTERS}=4,8").space
    drawn = [vars(space.draw_from(params).model)["conv"] for params in space.grid()]
    tied = [second.filters for first, second in drawn if second.filters == first.filters]
    assert sorted(tied) == [4, 8]


CONDITIONAL: list[tuple[list[str], list[dict[str, Scalar]]]] = [
    (
        ["optimizer=rmsprop,adam", "optimizer.beta_1=0.8,0.9"],
        [
            {"optimizer": "rmsprop"},
            {"optimizer": "adam", "optimizer.beta_1": 0.8},
            {"optimizer": "adam", "optimizer.beta_1": 0.9},
        ],
    ),
    (
        ["model.dense.1=5,6", f"{DENSE}=[],[10],[10,20]"],
        [
            {DENSE: "[]"},
            {DENSE: "[10]"},
            {DENSE: "[10,20]", "model.dense.1": 5},
            {DENSE: "[10,20]", "model.dense.1": 6},
        ],
    ),
    (
        ["model=dense,lenot", f"{FILTERS}=4,8"],
        [{"model": "dense"}, {"model": "lenot", FILTERS: 4}, {"model": "lenot", FILTERS: 8}],
    ),
]


@pytest.mark.parametrize(("typed", "grid"), CONDITIONAL)
def test_a_key_is_searched_only_where_it_exists(typed: list[str], grid: list[dict[str, Scalar]]) -> None:
    space = plan(*typed).space
    assert space.grid() == grid
    for params in grid:
        space.draw_from(params)  # is not asked for more


def test_a_key_of_one_option_reaches_its_configuration() -> None:
    space = plan("optimizer=rmsprop,adam", "optimizer.beta_1=0.8,0.9").space
    optimizer = space.draw_from({"optimizer": "adam", "optimizer.beta_1": 0.8}).optimizer
    assert isinstance(optimizer, AdamConfig)
    assert optimizer.beta_1 == 0.8


def test_an_item_of_a_chosen_list_replaces_the_one_that_was_chosen_with_it() -> None:
    space = plan("model.dense.1=5,6", f"{DENSE}=[10],[10,20]").space
    assert vars(space.draw_from({DENSE: "[10,20]", "model.dense.1": 6}).model)["dense"] == [10, 6]


ORDERS = [
    ["seed=3,1,2"],
    ["seed=range(3,0,-1)"],
    ["model=lenot,dense", "seed=1,2"],
    ["seed=1,2", "model=lenot,dense"],
    ["model.dropout=0.1,0.2", "seed=1,2", "training.epochs=range(1,4)"],
]


@pytest.mark.parametrize("typed", ORDERS)
def test_a_grid_has_every_combination_in_the_order_in_which_it_was_typed(typed: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(typed)
    names = [override.key_or_group for override in parsed]
    combinations = list(itertools.product(*(override.sweep_iterator() for override in parsed)))
    assert [tuple(params[name] for name in names) for params in plan(*typed).space.grid()] == combinations


DEFAULTS: list[tuple[list[str], dict[str, Scalar]]] = [
    (["seed=2,1", "model.dropout=interval(0,0.5)"], {"seed": 1, "model.dropout": 0.0}),
    (["seed=range(0,9,2)", "model.dropout=interval(0.1,0.5)"], {}),
    ([f"{DENSE}=[64],[120,84]"], {DENSE: "[120,84]"}),
    (["model=lenet5,lenot", "optimizer=adam,sgd"], {"model": "lenot", "optimizer": "adam"}),
    (["training.early_stopping_patience=null,3"], {"training.early_stopping_patience": None}),
    (["optimizer=rmsprop,adam", "optimizer.beta_1=0.8,0.9"], {"optimizer": "rmsprop"}),
    ([f"{RATE}=tag(log,interval(1e-4,1e-2))", "optimizer=adam"], {RATE: 1e-3}),
]


@pytest.mark.parametrize(("typed", "params"), DEFAULTS)
def test_the_defaults_are_what_the_configuration_has_where_it_lies_in_the_space(
    typed: list[str], params: dict[str, Scalar]
) -> None:
    assert plan(OPTUNA, *typed).space.defaults() == params


def test_a_space_survives_the_way_to_another_process() -> None:
    space = plan("model=lenot,lenet5", f"{FILTERS}=4,8", TIED).space
    sent = pickle.loads(pickle.dumps(space))
    assert sent.grid() == space.grid()
    assert [sent.draw_from(it) for it in sent.grid()] == [space.draw_from(it) for it in space.grid()]


def test_only_configurations_that_can_be_run_are_handed_out() -> None:
    space = plan("training.epochs=1", "schedule=cosine,none").space  # a warm-up of one epoch leaves nothing of one
    assert [config.schedule.name for config in space.configs()] == ["none"]
    assert list(space.trees()) == ["schedule=cosine", "schedule=none"]


def test_a_default_may_be_impossible_if_an_end_of_the_space_is_not() -> None:
    found = plan("training.epochs=1", "schedule=cosine", "schedule.warmup_epochs=2,0.5")
    assert found.space.configs() == []
    assert [config.name for config in found.datasets] == ["mnist"]


def test_the_tags_of_a_sweep_are_those_that_no_trial_has_alone() -> None:
    assert plan("tags.owner=ada", "tags.day=monday,tuesday").tags == {"owner": "ada"}


# --- settings ------------------------------------------------------------------------------------------------------

PARAMS = {"model": "lenot,lenet5", "model.dropout": "interval(0,0.5)", "seed": "1,2"}
AGAINST: list[tuple[list[str], dict[str, str]]] = [
    ([], {"model": "lenot, lenet5", "model.dropout": "0 to 0.5", "seed": "1, 2"}),
    (["model.dropout=0.1,0.2"], {"model": "lenot, lenet5", "model.dropout": "0.1, 0.2", "seed": "1, 2"}),
    (["model.dropout=0.1", "model=lenot"], {"seed": "1, 2"}),
    (["model.dropout=0", "model=lenot", "optimizer=adam,sgd"], {"optimizer": "adam, sgd", "seed": "1, 2"}),
]


@pytest.mark.parametrize(("typed", "dimensions"), AGAINST)
def test_the_line_wins_over_the_params_of_a_search_file(
    typed: list[str], dimensions: dict[str, str], tmp_path: Path
) -> None:
    found = plan(*search_file(tmp_path, sweeper={"params": PARAMS}), *typed)
    assert {key.name: str(key) for key in found.space.dimensions} == dimensions
    assert found.name == "mine"


def test_the_params_of_a_search_file_may_fix_a_value(tmp_path: Path) -> None:
    fixed = {"training.epochs": 3, "training.deterministic": True, RATE: 1e-05, "optimizer": "adam"}
    (config, _) = plan(*search_file(tmp_path, sweeper={"params": PARAMS | fixed})).space.configs()
    found = (config.training.epochs, config.training.deterministic, config.optimizer.learning_rate)
    assert (*found, config.optimizer.name) == (3, True, 1e-05, "adam")


METRICS: list[tuple[list[str], tuple[str, str]]] = [
    ([OPTUNA], ("val_accuracy", "maximize")),
    ([OPTUNA, "training.monitor=val_loss"], ("val_loss", "minimize")),
    ([OPTUNA, "training.monitor=loss", "hydra.sweeper.direction=minimize"], ("loss", "minimize")),
    ([OPTUNA, "hydra.sweeper.direction=maximize"], ("val_accuracy", "maximize")),
    (["dataset.validation_size=0"], ("accuracy", "maximize")),  # a grid
]


@pytest.mark.parametrize(("typed", "expected"), METRICS)
def test_trials_are_compared_by_the_monitor_in_its_own_direction(typed: list[str], expected: tuple[str, str]) -> None:
    found = plan(*ANY, *typed)
    assert (found.metric, found.direction) == expected


BOTH = "hydra.sweeper.objectives=[val_accuracy,parameters]"


def test_with_objectives_trials_are_compared_by_all_of_them_and_the_monitor_selects_the_epoch() -> None:
    found = plan(*ANY, OPTUNA, BOTH, "training.monitor=val_loss")
    assert found.objectives == (Objective("val_accuracy", "maximize"), Objective("parameters", "minimize"))
    assert (found.metric, found.has_front) == ("val_loss", True)


def test_a_metric_that_the_trials_record_can_be_an_objective() -> None:
    typed = ["training.metrics=[accuracy,macro_f1]", "hydra.sweeper.objectives=[parameters,val_macro_f1,loss]"]
    assert [objective.direction for objective in plan(*ANY, OPTUNA, *typed).objectives] == [
        "minimize",
        "maximize",
        "minimize",
    ]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            ["hydra.sweeper.objectives=[val_macro_f1,parameters]"],
            r"the trials do not record val_macro_f1; set 'training\.metrics=\[accuracy,macro_f1\]'$",
        ),
        ([BOTH, "training.metrics=[accuracy],[accuracy,brier]"], r"^training\.metrics cannot be swept with"),
        ([BOTH, "hydra/sweeper/sampler=cmaes"], r"^hydra/sweeper/sampler=cmaes optimizes a single value"),
        ([BOTH, "hydra/sweeper/pruner=median"], r"^hydra/sweeper/pruner=median: a pruner compares one value"),
    ],
)
def test_objectives_that_no_trial_could_have_are_refused(typed: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(*ANY, OPTUNA, *typed)


def test_a_grid_without_a_validation_split_has_no_objective_of_that_split() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.validation_size=0 leaves no images for val_accuracy; set"):
        plan(*ANY, BOTH, "dataset.validation_size=0")


OF_TRIALS: list[tuple[list[str], tuple[bool, str]]] = [
    ([], (False, "full")),
    (["evaluate_test=true", "tracking.detail=light"], (True, "light")),
    ([OPTUNA], (False, "light")),
    ([OPTUNA, "evaluate_test=false", "tracking.detail=full"], (False, "full")),
]


@pytest.mark.parametrize(("typed", "expected"), OF_TRIALS)
def test_trials_of_a_search_are_light_and_no_trial_looks_at_the_test_split_unasked(
    typed: list[str], expected: tuple[bool, str]
) -> None:
    space = plan("model=lenot,lenet5", *typed).space
    configs = [space.draw_from({"model": model}) for model in ("lenot", "lenet5")]
    assert [(config.evaluate_test, config.tracking.detail) for config in configs] == [expected] * 2


@pytest.mark.parametrize("sweeper", ["grid", "optuna"])
def test_a_typed_space_is_named_after_its_sweeper(sweeper: str) -> None:
    assert plan(*ANY, f"hydra/sweeper={sweeper}").name == sweeper


KINDS: dict[str, dict[str, Any]] = {part: dict(REGISTRY[part].kinds) for part in ("sampler", "pruner")}
PARTS = [(part, path.stem) for part in KINDS for path in sorted((CONF / "hydra/sweeper" / part).glob("*.yaml"))]


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_a_sampler_or_pruner_is_named_after_its_file_and_typed_by_its_name(part: str, name: str) -> None:
    needed = ["+hydra.sweeper.pruner.lower=0"] if name == "threshold" else []
    chosen = getattr(plan(*ANY, OPTUNA, f"hydra/sweeper/{part}={name}", *needed).settings, part)
    assert (type(chosen), chosen.name) == (KINDS[part][name], name)


@pytest.mark.parametrize("part", KINDS)
def test_every_kind_of_sampler_and_pruner_has_a_file(part: str) -> None:
    assert {name for group, name in PARTS if group == part} == set(KINDS[part])


SEARCHES = [pytest.param(path, id=path.stem) for path in sorted((CONF / "hparams_search").glob("*.yaml"))]


@pytest.mark.parametrize("path", SEARCHES)
def test_the_command_that_a_search_file_opens_with_plans_its_sweep(path: Path) -> None:
    text = path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("# python -m src.train "))
    typed = shlex.split(line.removeprefix("# python -m src.train "))
    assert "-m" in typed or "mode: MULTIRUN" in text
    assert plan(*(word for word in typed if word != "-m")).name == path.stem


# --- refusals ------------------------------------------------------------------------------------------------------


def answer(*overrides: str) -> str:
    """The sentence that refuses the sweep."""
    with pytest.raises((ConfigError, HydraException)) as refusal:
        plan(*overrides)
    return explain(refusal.value)


NO_SUCH = [
    (["model.droput=0.1,0.2"], r"^no key 'model\.droput'; did you mean 'dropout'\? known: .*\bdropout\b"),
    (["qqq=1,2"], r"^no key 'qqq'; known: augmentation, dataset, "),
    (["modle=lenot,lenet5"], r"^no key 'modle'; did you mean 'model'\?"),
    (["modle=glob(*)"], r"^no config group 'modle': "),
    (["model=lenot,lennot"], r"^no model 'lennot'; did you mean 'lenot'\? known: .*\blenet5\b"),
    (["debug=null,overfit"], r"^no debug 'null'; known: "),
    (["model=glob(x*)"], r"^model: there is nothing to choose from"),
    (["model=range(0,2)"], r"^model=range\(0,2\): model is a config group; choose with model=choice\(a,b\)$"),
    (["model@there=lenot,lenet5"], r"model@there"),
    (["~seed=1,2"], r"^~seed=1,2: a sweep searches over "),
    (["optimizer.beta_1=0.8,0.9"], r"^no key 'optimizer\.beta_1'; "),
    (["optimizer=rmsprop,sgd", "optimizer.beta_1=0.8,0.9"], r"^no key 'optimizer\.beta_1'; "),
    (["optimizer=rmsprop,adam", "optimizer.rho=0.9"], r"^with optimizer=adam: no key 'optimizer\.rho'; "),
    (["model.conv.9.filters=4,8"], r"^no item 'model\.conv\.9\.filters': the list is shorter"),
    (["model.dense.7=4,8"], r"^no item 'model\.dense\.7': the list is shorter"),
    (["model.dense.7=4,8", "model.dense=[1],[1,2]"], r"^no (item|key) 'model\.dense\.7'"),
    (["model.dense.first=4,8"], r"model\.dense\.first"),
]
NO_VALUES = [
    (["model.dropout=interval(0.5,0)"], r"^model\.dropout: the lower bound is above .*; write interval\(0,0\.5\)"),
    ([f"{RATE}=tag(log,interval(0,1))"], r"^optimizer\.learning_rate: a logarithmic interval must begin above 0"),
    (["model.dropout=0.5,1.5"], r"^model\.dropout: got 1\.5, expected 0 or more and less than 1$"),
    (["model.dropout=interval(-0.1,0.5)"], r"^model\.dropout: got -0\.1, expected 0 or more and less than 1$"),
    (["model.conv.0.filters=int(interval(0,8))"], r"^model\.conv\.0\.filters: got 0, expected at least 1$"),
    (["seed=-1,2"], r"^seed: got -1, expected an integer from 0 to 4294967295$"),
    (
        ["optimizer=adam,sgd", "optimizer.ema_momentum=0.5,2"],
        r"^optimizer\.ema_momentum: got 2\.0, expected a fraction",
    ),
    (["model.dropout=interval(0,inf)"], r"^model\.dropout: the bounds 0 and inf must be finite"),
    (
        ["seed=choice()"],
        r"^seed=choice\(\): there is nothing to choose from; give values, such as seed=choice\(3,5,7\)$",
    ),
    (["seed=range(5,1)"], r"^seed: range\(5,1,1\) has no members \(the stop is excluded\)"),
    (["seed=range(1,1)"], r"^seed: range\(1,1,1\) has no members"),
    (["seed=range(1,5,0)"], r"^seed: range\(1,5,0\) has no members"),
    (["model.dropout=range(0,0.5,-0.1)"], r"^model\.dropout: range\(0,0\.5,-0\.1\) has no members"),
    (["model.dropout=tag(lin,interval(0,1))"], r": log is the only tag, and it needs an interval: tag\(log,"),
    (["seed=tag(log,choice(1,2))"], r"^seed=tag\(log,choice\(1,2\)\): log is the only tag"),
    (["seed=tag(log,range(1,5))"], r"^seed=tag\(log,range\(1,5\)\): log is the only tag"),
    ([f"{FILTERS}=interval(4,32)"], r": expected integers; write model\.conv\.0\.filters=int\(interval\(4,32\)\)$"),
    (["seed=1,two"], r"^seed: got 'two', expected an integer$"),
    (["model.dropout=0.1,lots"], r"^model\.dropout: got 'lots', expected a number$"),
    (["evaluate_test=false,perhaps"], r"^evaluate_test: got 'perhaps', expected true or false$"),
    (["model.dense=[7],[many]"], r"^model\.dense.*: got 'many', expected an integer$"),
    (["seed=range(0.5,3,0.5)"], r"^seed: expected integers"),
]
NO_SEARCH = [
    (
        ["hydra.sweeper.direction=minimize"],
        r"direction=minimize contradicts training\.monitor=val_accuracy.*; remove `",
    ),
    (
        ["hydra.sweeper.direction=up"],
        r"^hydra\.sweeper\.direction: got 'up', expected one of maximize, minimize, null$",
    ),
    (
        ["training.monitor=val_acc"],
        r"^training\.monitor: got 'val_acc', .* val_accuracy, .*did you mean 'val_accuracy'\?$",
    ),
    (["training.monitor=val_loss,val_accuracy"], r"^training\.monitor and .* cannot be swept"),
    (["dataset.validation_size=10,20"], r"dataset\.validation_size cannot be swept"),
    (["dataset.folds=3", "dataset.fold=1,2"], r"^dataset\.fold cannot be swept.*pipelines\.cross_validate$"),
    (["dataset.validation_size=0"], r"^dataset\.validation_size=0: a search compares trials by their validation split"),
    (["experiment=fashion_cnn,lenot_mnist"], r"dataset\.validation_size"),  # the second has no validation split
    *[([f"evaluate_test={word}"], r"^evaluate_test.*test split") for word in ("true", "True", "yes", "true,false")],
    (["training.epochs=1", "schedule=cosine"], r"^schedule\.warmup_epochs: 1 leaves nothing of training\.epochs=1"),
]
NO_GRID = [
    (
        ["model.dropout=interval(0,0.5)"],
        r"^model\.dropout: a grid cannot list all .* 0 to 0\.5; give range\(.*=optuna$",
    ),
    (["seed=range(1,20000)"], r"^the grid has more than 10,000 combinations; .*hydra/sweeper=optuna$"),
    (["seed=range(0,2)", "training.epochs=range(1,9000)"], r"^the grid has more than 10,000 combinations"),
    (
        [f"{group}=glob(*)" for group in ("model", "optimizer", "schedule", "dataset", "experiment")],
        r"^the groups model, optimizer, .* have [\d,]+ combinations, .* at most 500; search fewer options at once$",
    ),
    (
        [*ANY, "hydra/sweeper/pruner=median"],
        r"^hydra/sweeper/pruner=median: a grid .*remove `.*=median`$",
    ),
    ([*ANY, "hydra/sweeper/sampler=tpe"], r"^hydra\.sweeper\.n_trials: tpe never runs out of trials"),
]
NOTHING = [
    (
        [],
        r"^nothing to sweep over: give several values \(seed=1,2,3\), .*src.train without -m$",
    ),
    (["model=lenot", "seed=3"], r"^nothing to sweep over"),
    (["seed=1,2", "seed=3"], r"^nothing to sweep over"),
    (["hparams_search=grid,lenot"], r"^hparams_search belongs to the sweep as a whole"),
    (["hydra/sweeper=grid,optuna"], r"'hydra/sweeper=grid,optuna'"),
    *[
        ([f"{group}.{REGISTRY[group].key}=a,b"], rf"^{group}\.\w+ follows from the chosen {group}; .*: {group}=A,B$")
        for group in ("dataset", "model", "optimizer", "schedule")
    ],
]
SPELLING = [
    (["hydra/launcher=joblib"], r"^hydra/launcher=joblib: .*; use hydra\.sweeper\.n_jobs=2$"),
    (["hydra.launcher=joblib"], r"^hydra/launcher.*: .*; use hydra\.sweeper\.n_jobs=2$"),
    (["hydra.launcher._target_=a.B"], r"^hydra/launcher: .*; use hydra\.sweeper\.n_jobs=2$"),
    (
        ["hydra.sweeper.sampler=random"],
        r"^hydra\.sweeper\.sampler .* hydra/sweeper/sampler=random \(slashes, not dots\)",
    ),
    (["hydra.sweeper.pruner=median"], r"^hydra\.sweeper\.pruner .* hydra/sweeper/pruner=median \(slashes, not dots\)"),
    (["hydra/sweeper/sampler=rndom"], r"^no hydra/sweeper/sampler 'rndom'; did you mean 'random'\? known: cmaes, "),
    (["hydra.sweeper.sampler.name=rndom"], r"^hydra\.sweeper\.sampler\.name: "),
    (["hydra/sweeper=optna"], r"^no hydra/sweeper 'optna'; did you mean 'optuna'\?"),
    (["hparams_search=lennot"], r"^no hparams_search 'lennot'; did you mean 'lenot'\?"),
    (["hydra.sweeper.max_failure_rate=0.1"], r"max_failure_rate': .*hydra\.sweeper\.max_failures in a row"),
    (["hydra.sweeper.search_space=1"], r"search_space': the space is defined in hydra\.sweeper\.params"),
    (["hydra.sweeper.ntrials=3"], r"^no key 'hydra\.sweeper\.ntrials'; did you mean 'n_trials'\?"),
    (["n_trials=3"], r"^no key 'n_trials'; "),
    (["hydra.n_trials=3"], r"^no key 'hydra\.n_trials'; "),
    (["hydra.sweeper.n_trials=0"], r"^hydra\.sweeper\.n_trials: got 0, expected at least 1$"),
    (["hydra.sweeper.n_jobs=0"], r"^hydra\.sweeper\.n_jobs: got 0, expected at least 1$"),
    (
        ["hydra.sweeper.n_jobs=100000"],
        r"^hydra\.sweeper\.n_jobs: got 100000, expected at most \d+ on the \d+ cores here$",
    ),
    (["hydra.sweeper.n_jobs=many"], r"^hydra\.sweeper\.n_jobs: got 'many', expected an integer$"),
    (["model.dropuot=0.1"], r"^no key 'model\.dropuot'; did you mean 'dropout'\?"),
]
REFUSED = [
    *[([OPTUNA, *typed], sentence) for typed, sentence in NO_SUCH + NO_VALUES],
    *[([OPTUNA, *ANY, *typed], sentence) for typed, sentence in NO_SEARCH],
    *NO_GRID,
    *NOTHING,
    *[([*ANY, *typed], sentence) for typed, sentence in SPELLING],
]


@pytest.mark.parametrize(("typed", "sentence"), [pytest.param(*case, id=" ".join(case[0])) for case in REFUSED])
def test_a_sweep_that_makes_no_sense_is_refused_with_the_reason(typed: list[str], sentence: str) -> None:
    assert re.search(sentence, answer(*typed))


IN_A_FILE: list[tuple[str, str]] = [
    ("n_trials: 3", r"/mine\.yaml, line 4, .*: no key 'n_trials'; "),
    ("params: {seed: '1,2'}", r"/mine\.yaml, line 4, .*: no key 'params'; "),
    ("hydra: {n_trials: 3}", r"/mine\.yaml, line 4, .*: no key 'hydra\.n_trials'; "),
    (
        "hydra: {sweeper: {ntrials: 3}}",
        r"/mine\.yaml, line 4, .*: no key 'hydra\.sweeper\.ntrials'; did you mean 'n_trials'\?",
    ),
    ("hydra: {sweeper: {max_failure_rate: 0.1}}", r"max_failure_rate': .*hydra\.sweeper\.max_failures in a row"),
    ("hydra: {sweeper: {search_space: {seed: 1}}}", r"search_space': the space is defined in hydra\.sweeper\.params"),
    (
        "hydra: {sweeper: {sampler: random}}",
        r"/mine\.yaml, line 4, .*: hydra\.sweeper\.sampler.* override /hydra/sweeper/sampler: random",
    ),
    ("hydra: {sweeper: {sampler: {n_ei_candidate: 3}}}", r"n_ei_candidate'; did you mean 'n_ei_candidates'\?"),
    ("hydra: {sweeper: {params: [1, 2]}}", r"line 4, column 27: hydra\.sweeper\.params: expected keys with values"),
    (
        "hydra: {sweeper: {params: {seed: [1, 2]}}}",
        r"^hydra\.sweeper\.params\.seed: got \[1, 2\], expected what follows the =",
    ),
    ("hydra: {sweeper: {params: {seed: choice()}}}", r"^seed=choice\(\): there is nothing to choose from"),
    ("hydra: {sweeper: {params: {sead: '1,2'}}}", r"^no key 'sead'; did you mean 'seed'\?"),
]


@pytest.mark.parametrize(("text", "sentence"), IN_A_FILE)
def test_a_mistake_in_a_search_file_is_answered_with_its_key(text: str, sentence: str, tmp_path: Path) -> None:
    assert re.search(sentence, answer(*search_text(tmp_path, text)))


PROPOSING = [
    f"{RATE}=interval(0.5,0)",
    f"{RATE}=tag(log,interval(0,1))",
    f"{FILTERS}=tag(log,int(interval(0,64)))",
    f"{FILTERS}=interval(4,32)",
    f"{FILTERS}=tag(log,interval(4,32))",
    "seed=interval(0,1234567)",
]


@pytest.mark.parametrize("typed", PROPOSING)
def test_what_a_refusal_proposes_can_be_typed_and_means_what_was_meant(typed: str) -> None:
    name, _, interval = typed.partition("=")
    proposal = re.findall(r"write (?:for instance )?(?:[\w.]+=)?((?:\w+[(,])+[^)]*\)+)", answer(OPTUNA, typed))[0]
    (key,) = plan(OPTUNA, f"{name}={proposal}").space.keys
    assert isinstance(key, Interval)
    assert key.high == max(float(bound) for bound in re.findall(r"\b[\d.]+", interval))
    assert key.log == interval.startswith("tag(log")


# --- as a command --------------------------------------------------------------------------------------------------

# `python -m src.train`, which then prints what was imported. Wherever it is not refused, what runs is small.
DRIVER = (
    "import atexit, runpy, sys\n"
    "atexit.register(lambda: print(*sys.modules))\n"
    "runpy.run_module('src.train', run_name='__main__', alter_sys=True)"
)
HARMLESS = ["dataset=synthetic", "tracking=off", "training.max_batches=1", "training.epochs=1"]
COMMANDS = [
    (["-m", "modle=lenot,lenet5"], "no key 'modle'; did you mean 'model'?"),
    (["-m", *ANY, "hydra/sweeper=basic"], "use hydra/sweeper=grid, or optuna"),
    (["-m", *ANY, "hparams_search=null"], "no hparams_search 'null'"),
    (["-m"], "nothing to sweep over"),
    (["hparams_search=lenot", "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials: got 0, expected at least 1"),
    (["model.dropuot=0.1", "seed=1,2"], "no key 'model.dropuot'; did you mean 'dropout'?"),
    (["seed=1,2"], "seed=1,2: several values; add -m to run each of them"),
]


@dataclass(frozen=True)
class Refused:
    """A command that was answered with a sentence, and what it left behind."""

    sentence: str
    done: subprocess.CompletedProcess[str]
    folder: Path


@pytest.fixture(scope="module", params=[pytest.param(case, id=" ".join(case[0])) for case in COMMANDS])
def refused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    arguments, sentence = request.param
    workplace = Workplace(tmp_path_factory.mktemp("refused"))
    command = [sys.executable, "-c", DRIVER, *arguments, *HARMLESS]
    environment = workplace.environment(PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        command, cwd=workplace.folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    return Refused(sentence, done, workplace.folder)


def test_a_command_answers_a_mistake_in_one_line_with_exit_code_2(refused: Refused) -> None:
    assert refused.done.returncode == 2
    assert re.fullmatch(f"error: .*{re.escape(refused.sentence)}.*\n", refused.done.stderr)


def test_a_refused_command_writes_nothing(refused: Refused) -> None:
    assert list(refused.folder.iterdir()) == []


def test_an_answer_does_not_wait_for_tensorflow_mlflow_or_optuna(refused: Refused) -> None:
    (imported,) = refused.done.stdout.splitlines()
    assert {"hydra", "src.schema"} <= set(imported.split())
    assert not {"tensorflow", "keras", "mlflow", "optuna", "sqlalchemy"} & set(imported.split())


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("{parameters:many}", "hydra.sweeper.constraints: got 'many', expected a number"),
        ("{parameters:true}", "hydra.sweeper.constraints: got 'True', expected a number"),
        ("{parameters:-1}", "hydra.sweeper.constraints.parameters: got -1.0, expected a finite number above 0"),
        ("{parameter:1}", "no key 'hydra.sweeper.constraints.parameter'; did you mean 'parameters'?"),
        ("3", "hydra.sweeper.constraints: "),
        ("[parameters]", "hydra.sweeper.constraints: "),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(typed: str, sentence: str) -> None:
    with pytest.raises((ConfigError, HydraException)) as refused:
        plan(OPTUNA, *ANY, f"hydra.sweeper.constraints={typed}")
    assert sentence in explain(refused.value)


@pytest.mark.parametrize("search", sorted(path.stem for path in (CONF / "hparams_search").glob("*.yaml")))
def test_limits_can_be_typed_behind_every_search(search: str) -> None:
    limits = "hydra.sweeper.constraints={parameters:100000,latency_ms:2}"
    found = plan(f"hparams_search={search}", "seed=1,2", limits)
    assert found.settings.limits == {"parameters": 100_000, "latency_ms": 2}


def test_a_single_limit_can_be_typed_by_its_dotted_name() -> None:
    assert plan(OPTUNA, *ANY, "hydra.sweeper.constraints.model_mb=1").settings.limits == {"model_mb": 1}
