"""Keys that take strings keep what was typed, also where it looks like a number or a boolean."""

import re
import string
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from src.cli.compose import compose, compose_config
from src.cli.strings import quote_strings
from src.errors import ConfigError
from src.space.planning import plan_line

CHANGED = ["2026_11_28", "1.10", "1234e5", "+5", "true", "FALSE", "1.", ".50", "0e0", "NaN", "-Inf", "1_0.5e+1_0"]
UNQUOTED = string.ascii_letters + string.digits + "/-\\+.$%*@?|:_"  # what the grammar takes outside of quotes
NUMBER_LIKE = st.from_regex(r"[+-]?[0-9]{1,3}(_[0-9]{1,2})?(\.[0-9]{0,2})?(e[+-]?[0-9])?", fullmatch=True)


@pytest.mark.parametrize("text", CHANGED)
@pytest.mark.parametrize(
    ("config_name", "key", "required"),
    [
        ("train", "tracking.run_name", []),
        ("train", "tracking.experiment", []),
        ("train", "tags.version", []),
        ("train", "+tags.version", []),
        ("train", "++tags.version", []),
        ("train", "dataset.folder", ["dataset=image_folder"]),
        ("train", "training.initial_weights", []),
        ("register", "name", ["run_id=a"]),
        ("register", "run_id", []),
        ("predict", "images", ["run_id=a"]),
        ("predict", "output", ["run_id=a", "images=b"]),
        ("train", "hydra.sweeper.study_name", []),
        ("train", "hydra.job.name", []),
    ],
)
def test_a_string_is_kept_as_it_was_typed(config_name: str, key: str, required: list[str], text: str) -> None:
    (line,) = quote_strings(config_name, [f"{key}={text}"])
    assert OverridesParser.create().parse_override(line).value() == text


def test_strings_arrive_in_the_configuration_as_they_were_typed() -> None:
    config = compose_config(
        [
            "tracking.run_name=2026_11_28",
            "tags.version=1.10",
            "tags={commit: 1234e5, final: true}",
            "dataset.class_names=[2024_01,1.10,true,plain]",
            "dataset.class_names.3=0x1_0",
        ]
    )
    assert config.tracking.run_name == "2026_11_28"
    assert config.tags == {"version": "1.10", "commit": "1234e5", "final": "true"}
    assert config.dataset.class_names == ["2024_01", "1.10", "true", "0x1_0"]


def test_choices_of_a_sweep_are_kept_as_they_were_typed() -> None:
    plan = plan_line(["tags.day=2026_01,2026_02,202601", "hydra.sweeper.study_name=2026_01"])
    assert [params["tags.day"] for params in plan.space.grid()] == ["2026_01", "2026_02", 202601]
    assert plan.settings.study_name == "2026_01"
    assert compose("train", [plan.line[-1]], with_hydra=True).hydra.sweeper.study_name == "2026_01"


@pytest.mark.parametrize("choice", ["choice(1.10,1.1)", "shuffle(1.10,1.1)", "1.10,1.1"])
def test_each_function_that_lists_values_keeps_them(choice: str) -> None:
    assert {params["tags.a"] for params in plan_line([f"tags.a={choice}"]).space.grid()} == {"1.10", 1.1}


@settings(deadline=None, max_examples=300)
@given(text=st.text(UNQUOTED, min_size=1, max_size=6) | NUMBER_LIKE)
def test_any_unquoted_text_is_kept_by_a_key_a_tag_a_list_and_a_choice(text: str) -> None:
    assume(text.lower() != "null" and "${" not in text and not re.search(r"\\[\\:]", text))  # they have a meaning
    lines = [f"tracking.run_name={text}", f"tags.a={text}", f"dataset.class_names=[x,{text}]", f"tags.a={text},x"]
    try:
        OverridesParser.create().parse_overrides(lines)
    except HydraException:
        assume(False)
    plain, tag, names, choice = map(value_of, quote_strings("train", lines))
    assert [str(value) for value in (plain, tag, names[1], choice[0])] == [text] * 4


def value_of(line: str) -> Any:
    override = OverridesParser.create().parse_override(line)
    if override.is_sweep_override():
        return [Override._convert_value(value) for value in override.sweep_iterator()]
    return override.value()


@pytest.mark.parametrize(
    "line",
    [
        "optimizer.learning_rate=1e-3",
        "training.epochs=1_0",
        "evaluate_test=True",
        "model.conv.0.filters=1_0,2_0",
        "optimizer.learning_rate=interval(1e-4,1e-2)",
        "seed=range(1,5)",
        "dataset.limit=1_000",
        "dataset.image_size=[1_0,2_0]",
        'tags.a="1.10"',
        "tags.a='1.10'",
        "tags.a=v1.10",
        "tags.a=null",
        "tags.a=5",
        "no.such.key=1.10",
        "tags.a=[1.10",
        "=1.10",
    ],
)
def test_every_other_value_is_left_as_it_was_typed(line: str) -> None:
    assert quote_strings("train", [line]) == [line]


def test_an_option_whose_name_looks_like_a_number_can_be_chosen(tmp_path: Path) -> None:
    for group, name in (("experiment", "2024_01"), ("experiment", "3"), ("experiment", "3.0")):
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / f"{name}.yaml").write_text(f"# @package _global_\ntags: {{chosen: '{name}'}}\n")
    folder = f"hydra.searchpath=['{tmp_path}']"
    for name in ("2024_01", "3", "3.0"):
        assert compose_config([f"experiment={name}", folder]).tags == {"chosen": name}
    plan = plan_line(["experiment=2024_01,3", folder])
    assert [params["experiment"] for params in plan.space.grid()] == ["2024_01", "3"]


# --- in files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "place", "key", "value"),
    [
        ("tags: {version: 1.10}", "line 2, column 17", "tags.version", "1.10"),
        ("tracking:\n  run_name: 2026_11_28", "line 3, column 13", "tracking.run_name", "2026_11_28"),
        ("tags:\n  final: yes", "line 3, column 10", "tags.final", "yes"),
        ("tags:\n  at: 12:30", "line 3, column 7", "tags.at", "12:30"),
        ("dataset: {class_names: [cat, 007]}", "line 2, column 30", "dataset.class_names.1", "007"),
        ("hydra: {sweeper: {study_name: 2026_01}}", "line 2, column 31", "hydra.sweeper.study_name", "2026_01"),
        ("hydra: {sweeper: {params: {tags.a: 1.10}}}", "line 2, column 36", "hydra.sweeper.params.tags.a", "1.10"),
    ],
)
def test_a_number_for_a_string_in_a_file_is_refused_with_its_place(
    content: str, place: str, key: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{content}\n")
    with pytest.raises(ConfigError) as refusal:
        compose_config(["experiment=mine", f"hydra.searchpath=['{tmp_path}']"])
    sentence = str(refusal.value)
    assert sentence.startswith(f"{tmp_path}/experiment/mine.yaml, {place}: {key}: expected a string")
    assert sentence.endswith(f'quote it: "{value}"')


@pytest.mark.parametrize("content", ["tags: {version: '1.10'}", "tags: {day: 2024-01-05}", "training: {epochs: 1_0}"])
def test_a_quoted_number_a_date_and_a_number_for_a_number_are_accepted_in_a_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{content}\n")
    config = compose_config(["experiment=mine", f"hydra.searchpath=['{tmp_path}']"])
    assert config.tags in ({}, {"version": "1.10"}, {"day": "2024-01-05"})
