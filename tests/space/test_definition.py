"""A sweep becomes JSON that its study keeps, and comes back as the same sweep at another place."""

import copy
import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.cli.conf import options_of
from src.errors import ConfigError
from src.redact import hide_inputs
from src.schema import Choice, Interval, Scalar, as_tree
from src.space import Places, SweepPlan, places_of
from src.space.definition import _tupled, define, read_definition
from src.space.space import has_key
from tests.support.sweeps import SPACE
from tests.support.sweeps import plan as compose

SEARCHES = [[f"hparams_search={name}"] for name in options_of("hparams_search") if name != "grid"]
LINES = [
    *SEARCHES,
    ["model.conv.0.kernel_size=3,5,40", "seed=1,2", "optimizer.learning_rate=1e-3,0.1"],
    ["model=lenot,dense", "optimizer=adam,sgd", "model.dropout=0.1,0.2"],
    ["model.dense=[120,84],[64]", "tags.note='a ${seed} b',plain", "training.epochs=range(1,4)"],
    [*SPACE, "dataset=mnist,synthetic", "training.early_stopping_patience=null,3", "schedule=cosine"],
    ["hydra/sweeper=optuna", "hydra/sweeper/sampler=random", "hydra/sweeper/pruner=hyperband", *SPACE[1:]],
    ["model=transfer", "model.dropout=0.1,0.2"],
]


@functools.cache
def plan(*line: str) -> SweepPlan:
    return compose(*line)


def there_and_back(plan_here: SweepPlan, places: Places | None = None) -> SweepPlan:
    return read_definition(json.loads(json.dumps(define(plan_here))), places or places_of(plan_here))


def samples_of(swept: SweepPlan, count: int = 3) -> list[dict[str, Scalar]]:
    """Some parameters of trials."""
    dimensions = swept.space.dimensions
    return [{one.name: one.samples()[index % len(one.samples())] for one in dimensions} for index in range(count)]


def drawn(swept: SweepPlan, params: dict[str, Scalar]) -> Any:
    """The configuration of a trial, or the reason why it has none."""
    try:
        return as_tree(swept.space.draw(lambda dimension: params[dimension.name]))
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_plan_that_was_stored_gives_the_same_trials(line: list[str]) -> None:
    here = plan(*line)
    there = there_and_back(here)
    for params in samples_of(here):
        assert drawn(there, params) == drawn(here, params)
    assert (there.space.groups, there.space.keys) == (here.space.groups, here.space.keys)
    assert (there.space.default, there.space.choices, there.space.typed) == (
        here.space.default,
        here.space.choices,
        here.space.typed,
    )
    assert there.space.defaults() == here.space.defaults()
    assert (there.name, there.metric, there.objectives, there.tags) == (
        here.name,
        here.metric,
        here.objectives,
        here.tags,
    )
    assert (there.datasets, there.tracking) == (here.datasets, here.tracking)
    for name in ("sampler", "pruner", "max_retries", "max_failures", "save_models", "enqueue_default", "storage"):
        assert getattr(there.settings, name) == getattr(here.settings, name), name


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_stored_plan_has_the_same_keys(line: list[str]) -> None:
    here = plan(*line)
    there = there_and_back(here)
    names = [key.name for key in here.space.keys] + ["tags.anything", "model.nothing", "model.conv.7.filters"]
    for (options, base), name in itertools.product(here.space.bases.items(), names):
        assert has_key(there.space.bases[options], name) == has_key(base, name), name


def test_a_grid_that_was_stored_has_the_same_combinations() -> None:
    here = plan("model.conv.0.kernel_size=3,5,40", "seed=1,2", "optimizer=adam,sgd")
    assert there_and_back(here).space.grid() == here.space.grid()


@given(low=st.floats(1e-300, 1e300), factor=st.floats(1, 10), text=st.text(st.characters(codec="utf-8"), min_size=1))
@settings(max_examples=50, deadline=None)
def test_numbers_and_strings_of_a_space_are_stored_exactly(low: float, factor: float, text: str) -> None:
    interval = Interval("a", low, min(low * factor, 1e300))
    choice = Choice("b", (text, None, True, 3), (text, None, True, [3, 0.1]))
    stored = json.loads(json.dumps([dataclasses.asdict(interval), dataclasses.asdict(choice)]))
    assert Interval(**stored[0]) == interval
    assert Choice(**_tupled(stored[1])) == choice


PLANTED = [
    ("dataset.data_dir=/home/ada/pictures", "/home/ada/pictures"),
    ("training.checkpoint_dir=/scratch/ada", "/scratch/ada"),
    ("training.initial_weights=/home/ada/w.keras", "/home/ada/w.keras"),
    ("tracking.uri=sqlite:////home/ada/mlflow.db", "/home/ada"),
    ("hydra.sweeper.storage=postgresql://ada:hunter22@db.example/optuna", "db.example"),
    ("tags.api_token=tok-7003", "tok-7003"),
    ("tags.note=${oc.env:PLANTED}", "planted-secret"),
    ("dataset.mirrors=[http://mirror.example/]", "mirror.example"),
]


@pytest.mark.parametrize(("typed", "planted"), PLANTED)
def test_a_definition_contains_no_path_no_address_no_secret_and_no_resolver(
    typed: str, planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "planted-secret")
    text = json.dumps(define(compose(*SPACE, typed)))
    assert planted not in text
    assert "oc.env" not in text
    assert "storage" not in text


def test_the_places_of_another_worker_replace_those_of_the_definition() -> None:
    here, elsewhere = plan(*SPACE), plan(*SPACE, "dataset.data_dir=/mnt/data", "tracking.uri=http://127.0.0.1:5000")
    there = there_and_back(here, places_of(elsewhere))
    assert there.tracking.uri == "http://127.0.0.1:5000"
    assert there.datasets[0].folders[0] == "/mnt/data/mnist"  # type: ignore[attr-defined]


def test_a_secret_that_a_trial_needs_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_NAME", "an-experiment")
    with pytest.raises(ConfigError, match=r"^tracking.experiment: the value comes from an environment var.* type"):
        define(compose(*SPACE, "tracking.experiment=${oc.env:MY_NAME}"))


@pytest.mark.parametrize("typed", ["http://ada:hunter22@db.example", "token=abcdef"])
def test_a_typed_secret_is_refused_without_the_advice_to_type_the_value(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"^tracking.experiment: the value contains a password or a token") as caught:
        define(compose(*SPACE, f"tracking.experiment='{typed}'"))
    assert "type" not in str(caught.value)
    assert typed not in str(caught.value)


@pytest.mark.parametrize(
    ("tie", "place"),
    [
        ("${training.checkpoint_dir}", "training.checkpoint_dir=/scratch/ada"),
        ("${training.initial_weights}", "training.initial_weights=/home/ada/w.keras"),
    ],
)
def test_a_tag_that_is_tied_to_a_path_is_missing_only_where_a_machine_has_no_such_path(tie: str, place: str) -> None:
    swept, elsewhere = compose(*SPACE, place, f"tags.where={tie}"), plan(*SPACE)
    assert drawn(there_and_back(swept), samples_of(swept, 1)[0])["tags"]["where"] == place.partition("=")[2]
    without = there_and_back(swept, places_of(elsewhere))
    assert "where" not in drawn(without, samples_of(swept, 1)[0])["tags"]


@pytest.mark.parametrize(
    "typed",
    ["tags.api_token=choice(tok-7003,tok-7004)", "tags.address='http://ada:hunter22@a','http://ada:hunter22@b'"],
)
def test_a_secret_cannot_be_searched(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"^tags\.\w+: a secret cannot be searched, because the study stores all"):
        define(compose(*SPACE, typed))


def test_the_name_of_an_option_is_stored_though_a_variable_has_the_same_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHOSEN", "synthetic")
    monkeypatch.setattr("src.redact._secrets", set())
    hide_inputs(["tags.data=${oc.env:CHOSEN}"], os.environ)
    definition = define(compose(*SPACE, "dataset=synthetic", "tags.data=${oc.env:CHOSEN}"))
    assert definition["sections"]["dataset"][0]["name"] == "synthetic"
    assert definition["sections"]["tags"] == [{"data": "***"}]


EDITS: list[tuple[str, Any, str]] = [
    ("training.0.checkpoint_dir", "/etc", "contains training.checkpoint_dir, a path or an address"),
    ("dataset.0.folders", ["/etc"], "contains dataset.folders, a path or an address"),
    ("tracking.0.uri", "http://evil.example", "contains tracking.uri, a path or an address"),
    ("seed.0", "${oc.env:HOME}", "contains seed=.*, which calls a resolver"),
    ("tags.0", {"note": "${oc.decode:${seed}}"}, "contains tags.note=.*, which calls a resolver"),
    ("dataset.0.name", "a ${hydra:job.name}", "contains dataset.name=.*, which calls a resolver"),
    ("model.0.family", "os.system", "model: no kind 'os.system'"),
    ("model.0._target_", "os.system", "_target_"),
    ("optimizer.0.learning_rate", "quick", "learning_rate"),
    ("loss.0", 3, "damaged|loss"),
]


@pytest.mark.parametrize(("place", "value", "sentence"), EDITS)
def test_an_edited_definition_is_refused(place: str, value: Any, sentence: str) -> None:
    here = plan(*SPACE)
    definition = define(here)
    node, keys = definition["sections"], place.split(".")
    for key in keys[:-1]:
        node = node[int(key) if key.isdigit() else key]
    node[int(keys[-1]) if keys[-1].isdigit() else keys[-1]] = value
    with pytest.raises(ConfigError, match=sentence):
        read_definition(definition, places_of(here))


@pytest.mark.parametrize("key", ["format", "name", "settings", "groups", "keys", "sections", "bases", "default"])
def test_a_definition_without_one_of_its_parts_is_refused(key: str) -> None:
    here = plan(*SPACE)
    definition = define(here)
    del definition[key]
    with pytest.raises(ConfigError, match="the definition of the study is damaged"):
        read_definition(definition, places_of(here))


@pytest.mark.parametrize("edit", [lambda bases: bases.clear(), lambda bases: bases[0].update(choices="text")])
def test_a_definition_whose_configurations_have_another_form_is_refused(edit: Callable[[Any], None]) -> None:
    here = plan(*SPACE)
    definition = define(here)
    edit(definition["bases"])
    with pytest.raises(ConfigError, match="the definition of the study is damaged"):
        read_definition(definition, places_of(here))


@pytest.mark.parametrize("damaged", [None, [], "text", 3, {"format": 2}])
def test_something_else_is_not_a_definition(damaged: Any) -> None:
    with pytest.raises(ConfigError, match=r"the definition of the study is damaged|by another version"):
        read_definition(damaged, places_of(plan(*SPACE)))


def test_settings_that_a_definition_must_not_have_are_refused() -> None:
    here = plan(*SPACE)
    definition = copy.deepcopy(define(here))
    definition["settings"]["storage"] = "sqlite:////etc/passwd"
    with pytest.raises(ConfigError, match=r"contains hydra.sweeper.storage, a setting of a command"):
        read_definition(definition, places_of(here))
