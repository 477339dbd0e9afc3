"""A study: every later process resumes it, it has one setting, and an id that no other study has."""

import re
from typing import Literal

import optuna
import pytest

from src.errors import ConfigError
from src.schema import Choice, Dimension, Interval
from src.study import (
    Storage,
    ask_to_stop,
    check_setting,
    directions_of,
    find_study,
    first_of_setting,
    is_stopped,
    open_study,
    study_names,
    unique_id,
)
from src.study.studies import SETTING

Direction = Literal["maximize", "minimize"]
BEFORE = {"model.dropout": "0.2", "seed": "1"}


@pytest.fixture
def study(memory: Storage, request: pytest.FixtureRequest) -> optuna.Study:
    return open_study(request.node.name, memory.optuna, "maximize")


def try_once(study: optuna.Study, dimension: Dimension) -> None:
    trial = study.ask()
    if isinstance(dimension, Choice):
        trial.suggest_categorical(dimension.name, dimension.names)
    elif isinstance(dimension.low, int):
        trial.suggest_int(dimension.name, dimension.low, int(dimension.high), log=dimension.log)
    else:
        trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.log)
    study.tell(trial, 0.5)


# --- studies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_study_that_exists_is_opened_with_its_trials(
    memory: Storage, request: pytest.FixtureRequest, direction: Direction
):
    try_once(open_study(request.node.name, memory.optuna, direction), Interval("x", 1, 5))
    study = open_study(request.node.name, memory.optuna, direction)
    assert study.direction.name.lower() == direction
    assert len(study.trials) == 1


@pytest.mark.parametrize(("first", "second"), [("maximize", "minimize"), ("minimize", "maximize")])
def test_a_study_that_wants_the_opposite_is_refused(
    memory: Storage, request: pytest.FixtureRequest, first: Direction, second: Direction
):
    open_study(request.node.name, memory.optuna, first)
    sentence = f"{first}s its value, but this sweep {second}s its value; use another hydra.sweeper.study_name"
    with pytest.raises(ConfigError, match=sentence):
        open_study(request.node.name, memory.optuna, second)


TWO = ["val_accuracy", "parameters"]


def test_a_study_with_several_objectives_has_their_directions_and_names(
    memory: Storage, request: pytest.FixtureRequest
):
    for _ in range(2):  # created, and resumed
        study = open_study(request.node.name, memory.optuna, "maximize", "minimize", names=TWO)
        assert directions_of(study) == ["maximize", "minimize"]
        assert study.metric_names == TWO


@pytest.mark.parametrize(
    ("directions", "names", "wants"),
    [
        (["maximize"], ["val_accuracy"], "maximizes its value"),
        (["maximize", "minimize"], ["val_accuracy", "latency_ms"], "maximizes val_accuracy and minimizes latency_ms"),
        (
            ["maximize", "minimize", "minimize"],
            ["val_accuracy", "val_loss", "parameters"],
            "maximizes val_accuracy and minimizes val_loss and minimizes parameters",
        ),
    ],
)
def test_a_study_with_other_objectives_is_refused(
    memory: Storage, request: pytest.FixtureRequest, directions: list[Direction], names: list[str], wants: str
):
    open_study(request.node.name, memory.optuna, "maximize", "minimize", names=TWO)
    sentence = f"maximizes val_accuracy and minimizes parameters, but this sweep {wants}; use another hydra"
    with pytest.raises(ConfigError, match=sentence):
        open_study(request.node.name, memory.optuna, *directions, names=names)


def test_a_study_of_one_metric_does_not_become_one_with_a_front(memory: Storage, request: pytest.FixtureRequest):
    study = open_study(request.node.name, memory.optuna, "maximize")
    with pytest.raises(ConfigError, match="maximizes its value, but this sweep maximizes val_accuracy and minimizes"):
        open_study(request.node.name, memory.optuna, "maximize", "minimize", names=TWO)
    assert study.metric_names is None


def test_the_id_of_a_study_is_the_same_for_everybody_who_opens_it(study: optuna.Study, memory: Storage):
    assert unique_id(study) == unique_id(study)
    assert unique_id(study) == unique_id(open_study(study.study_name, memory.optuna, "maximize"))


def test_no_other_study_has_the_same_id_not_even_a_later_one_of_the_same_name(study: optuna.Study, memory: Storage):
    ids = {unique_id(study), unique_id(open_study(f"{study.study_name} too", memory.optuna, "maximize"))}
    optuna.delete_study(study_name=study.study_name, storage=memory.optuna)
    assert unique_id(open_study(study.study_name, memory.optuna, "maximize")) not in ids
    assert len(ids) == 2


def test_a_study_is_found_by_its_name_with_its_trials(study: optuna.Study, memory: Storage):
    try_once(study, Interval("x", 1, 5))
    assert study.study_name in study_names(memory.optuna)
    assert len(find_study(study.study_name, memory.optuna).trials) == 1


def test_a_study_that_there_is_not_is_answered_with_those_that_there_are(study: optuna.Study, memory: Storage):
    known = ", ".join(sorted(optuna.get_all_study_names(memory.optuna)))
    with pytest.raises(ConfigError, match=re.escape(f"no study 'nonsense'; known: {known}")):
        find_study("nonsense", memory.optuna)


def test_the_wish_to_stop_reaches_everybody_until_it_is_taken_back(study: optuna.Study, memory: Storage):
    other = open_study(study.study_name, memory.optuna, "maximize")
    assert not is_stopped(other)
    ask_to_stop(study)
    assert is_stopped(other)
    ask_to_stop(study, False)
    assert not is_stopped(other)


# --- check_setting -------------------------------------------------------------------------------------------------


def test_the_same_setting_is_accepted_again(study: optuna.Study):
    check_setting(study, BEFORE, [], "error")
    check_setting(study, dict(reversed(BEFORE.items())), [], "error")
    assert study.user_attrs[SETTING] == BEFORE


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        ({**BEFORE, "seed": "2"}, r"settings: seed was 1, is 2\. Use another hydra\.sweeper\.study_name, or"),
        ({**BEFORE, "epochs": "3"}, r"settings: epochs was not set, is 3\. Use"),
        ({"seed": "1"}, r"settings: model\.dropout was 0\.2, is not set\. Use"),
        ({"model.dropout": "0.5", "seed": "2"}, r"settings: model\.dropout was 0\.2, is 0\.5; seed was 1, is 2\. Use"),
        (BEFORE | dict.fromkeys("abcdefg", "1"), r"a was .*; e was not set, is 1 and 2 more\. Use"),
    ],
)
def test_another_setting_is_refused_with_what_has_changed(study: optuna.Study, now: dict[str, str], sentence: str):
    check_setting(study, BEFORE, [], "error")
    with pytest.raises(ConfigError, match=sentence):
        check_setting(study, now, [], "error")
    assert study.user_attrs[SETTING] == BEFORE


def test_a_refused_setting_is_answered_with_the_way_to_continue_anyway(study: optuna.Study):
    check_setting(study, BEFORE, [], "error")
    with pytest.raises(ConfigError, match=r"continue anyway with hydra\.sweeper\.on_change=continue$"):
        check_setting(study, {}, [], "error")


def test_with_on_change_continue_another_setting_is_the_studys_from_then_on(study: optuna.Study):
    now = {**BEFORE, "seed": "2"}
    check_setting(study, BEFORE, [], "error")
    check_setting(study, now, [], "continue")
    check_setting(study, now, [], "error")
    with pytest.raises(ConfigError, match="seed was 2, is 1"):
        check_setting(study, BEFORE, [], "error")


@pytest.mark.parametrize("on_change", ["error", "continue"])
def test_another_metric_is_refused_even_with_on_change_continue(study: optuna.Study, on_change: str):
    before = {**BEFORE, "training.monitor": '"val_accuracy"'}
    check_setting(study, before, [], "error")
    sentence = 'training.monitor was "val_accuracy", is "val_macro_f1". Use another hydra.sweeper.study_name'
    with pytest.raises(ConfigError, match=f"{re.escape(sentence)}$"):
        check_setting(study, {**BEFORE, "training.monitor": '"val_macro_f1"'}, [], on_change)
    assert study.user_attrs[SETTING] == before


@pytest.mark.parametrize(
    ("change", "first"),
    [({"seed": "2"}, 1), ({"space x": "1, 3"}, 0), ({"data mnist": "elsewhere"}, 0), ({}, 0)],
)
def test_the_first_trial_of_the_present_fixed_settings_is_known(
    study: optuna.Study, change: dict[str, str], first: int
):
    check_setting(study, BEFORE, [], "error")
    try_once(study, Interval("x", 1, 5))
    check_setting(study, BEFORE | change, [], "continue")
    assert first_of_setting(study) == first
    check_setting(study, BEFORE | change, [], "error")
    assert first_of_setting(study) == first


ONE_TO_FIVE, ONE_OR_TWO = Interval("x", 1, 5), Choice("x", (1, 2), (1, 2))


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (ONE_OR_TWO, Choice("x", (1, 2, 3), (1, 2, 3))),
        (ONE_OR_TWO, Choice("x", (2, 1), (2, 1))),
        (ONE_TO_FIVE, ONE_OR_TWO),
        (ONE_OR_TWO, ONE_TO_FIVE),
        (ONE_TO_FIVE, Interval("x", 1.0, 5.0)),
        (Interval("x", 1.0, 5.0), ONE_TO_FIVE),
        (ONE_TO_FIVE, Interval("x", 1, 5, log=True)),
    ],
    ids=str,
)
@pytest.mark.parametrize("on_change", ["error", "continue"])
def test_what_a_study_cannot_mix_is_refused(study: optuna.Study, was: Dimension, now: Dimension, on_change: str):
    try_once(study, was)
    with pytest.raises(ConfigError, match=r"^x: the study .* within one study; use another hydra\.sweeper\.study_name"):
        check_setting(study, {}, [now], on_change)
    assert SETTING not in study.user_attrs


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (ONE_OR_TWO, [ONE_OR_TWO]),
        (ONE_OR_TWO, []),
        (ONE_OR_TWO, [ONE_OR_TWO, Choice("y", ("a",), ("a",))]),
        (ONE_TO_FIVE, [Interval("x", 2, 50)]),
        (Interval("x", 0.0, 0.5), [Interval("x", 0.25, 1.0)]),
    ],
    ids=str,
)
def test_other_changes_of_the_space_are_taken_and_can_be_tried(
    study: optuna.Study, was: Dimension, now: list[Dimension]
):
    try_once(study, was)
    check_setting(study, {}, now, "continue")
    for dimension in now:
        try_once(study, dimension)
