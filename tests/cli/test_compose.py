"""From the command line to dataclasses, and the sentences that answer a mistake."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import DictConfig, ListConfig, OmegaConf, StringNode

from src.cli.compose import CONF, compose, compose_config, sweep_ready
from src.cli.conversion import to_dataclass
from src.cli.mistakes import has_no_value
from src.errors import ConfigError
from src.schema import PRIMARY, Config, SequentialConfig, flatten

# --- as a function -------------------------------------------------------------------------------------------------


def test_overrides_become_a_checked_dataclass() -> None:
    config = compose_config(["model=lenot", "training.epochs=2", "model.conv.0.filters=8", "tags.owner=ada"])
    assert isinstance(config, Config)
    assert isinstance(config.model, SequentialConfig)
    picked = (config.model.name, config.training.epochs, config.model.conv[0].filters, config.tags)
    assert picked == ("lenot", 2, 8, {"owner": "ada"})


def test_what_was_composed_before_leaves_nothing_behind() -> None:
    before = compose_config()
    assert compose_config(["seed=7", "optimizer=adam", "tags.owner=ada"]) != before
    assert compose_config() == before


def test_what_was_set_of_hydra_itself_is_not_set_the_next_time() -> None:
    overrides = ["hydra.job.chdir=true", "hydra.sweeper.n_jobs=7", "hydra.help.app_name=other"]
    before, changed, after = (
        OmegaConf.to_yaml(compose("train", typed, with_hydra=True)) for typed in ([], overrides, [])
    )
    assert changed != before
    assert after == before


def test_composing_works_while_hydra_is_in_use_elsewhere() -> None:
    before = compose_config()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        assert compose_config() == before


def test_a_defaults_list_may_choose_an_option_by_the_option_of_another_group(tmp_path: Path) -> None:
    for name, text in {
        "experiment/mine": "# @package _global_\ndefaults:\n  - /seeds@_global_: ${debug}\n",
        "seeds/overfit": "seed: 77\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.yaml").write_text(text)
    assert compose_config(["experiment=mine", "debug=overfit", f"hydra.searchpath=['{tmp_path}']"]).seed == 77


def test_every_leaf_can_be_set_by_its_own_dotted_name() -> None:
    config = compose_config()
    overrides = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in flatten(config).items()]
    assert compose_config(overrides) == config


# --- empty values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", " ", "\n", "''", '""', '" "', "'\n'"])
def test_an_override_can_be_empty_in_many_ways(nothing: str) -> None:
    assert has_no_value(f"tracking.uri={nothing}")


@pytest.mark.parametrize("typed", ["tracking.uri=x", "seed=0", "a='\"'", "a=' x '", "model", "a==", "a=null"])
def test_an_override_with_a_visible_value_is_not_empty(typed: str) -> None:
    assert not has_no_value(typed)


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("training.initial_weights", "give a value, or null for none"),
        ("tracking.uri", "give a value"),
        ("training.epochs", "give a value"),
        ("dataset.limit", "give a value, or null for none"),
        ("training.deterministic", "give a value"),
        ("+training.monitor", "give a value"),
        ("hydra.sweeper.storage", "give a value"),
        ("model", "give an option, or remove `model=`; known: alexnet, .*"),
        ("hydra/sweeper", "give an option, or remove `hydra/sweeper=`; known: grid, optuna"),
    ],
)
def test_nothing_after_the_equals_sign_is_refused_with_the_keys_name(key: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(key.lstrip('+'))}: got nothing after the =; {remedy}$"):
        compose_config([f"{key}="])


@pytest.mark.parametrize("config_name", sorted(PRIMARY))
def test_no_command_accepts_an_empty_string(config_name: str) -> None:
    with_run = ("dream", "evaluate", "explain", "export", "predict", "register", "reproduce", "style")
    files = {"predict": ["images=x"], "style": ["content=x", "style=x"]}.get(config_name, [])
    config = compose(config_name, ["run_id=x", *files] if config_name in with_run else [])
    empty = list(strings_of(config, ""))
    assert empty
    for name in empty:
        changed = copy.deepcopy(config)
        OmegaConf.update(changed, name, " ")
        with pytest.raises(ConfigError, match=rf"^{re.escape(name)}: got an empty string; give a value"):
            to_dataclass(changed)


def strings_of(config: Any, prefix: str) -> Iterator[str]:
    """The dotted names of all keys that take a string."""
    keys: list[Any] = list(config.keys() if isinstance(config, DictConfig) else range(len(config)))
    for key in keys:
        node = config._get_node(key)
        if isinstance(node, DictConfig | ListConfig) and not node._is_none():
            yield from strings_of(node, f"{prefix}{key}.")
        elif isinstance(node, StringNode):
            yield f"{prefix}{key}"


def test_an_empty_string_in_a_file_or_a_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ntraining: {initial_weights: ' '}\n")
    with pytest.raises(ConfigError, match=r"training\.initial_weights: got an empty string; .* or null"):
        compose_config(["experiment=mine", f"hydra.searchpath=['{tmp_path}']"])
    with pytest.raises(ConfigError, match=r"dataset\.folders\.1: got an empty string"):
        compose_config(["dataset.folders=[data,'']"])


def test_a_tag_may_be_empty() -> None:
    assert compose_config(["tags.note="]).tags == {"note": ""}


@pytest.mark.parametrize("list_of_values", [",x", "x,", "x,,y", "[x,,y]", "choice(,x)"])
def test_a_value_that_is_missing_next_to_a_comma_is_reported(list_of_values: str) -> None:
    with pytest.raises(ConfigError, match=r"training\.initial_weights: a value is missing next to a comma"):
        compose_config([f"training.initial_weights={list_of_values}"])


# --- paths and the environment -------------------------------------------------------------------------------------


def test_white_space_around_a_path_is_trimmed_before_other_values_are_made_from_it() -> None:
    config = compose_config(
        ["dataset=image_folder", 'dataset.data_dir=" ~/pictures\n"', 'tracking.uri=" sqlite:///a.db "']
    )
    assert (config.dataset.folder, config.tracking.uri) == ("~/pictures/images", "sqlite:///a.db")


def test_an_empty_environment_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DIR", "MLFLOW_TRACKING_URI", "XDG_CACHE_HOME", "CONVLAB_OWN"):
        monkeypatch.setenv(name, " \n")
    config = compose_config(["dataset=image_folder", "tracking.run_name=${oc.env:CONVLAB_OWN,first}"])
    assert (config.dataset.folder, config.tracking.uri) == ("data/images", "sqlite:///mlflow.db")
    assert (config.dataset.cache_dir, config.tracking.run_name) == ("~/.cache/convlab/images", "first")
    with pytest.raises(ConfigError, match="seed: the environment variable CONVLAB_OWN is not set or is empty; set it"):
        compose_config(["seed=${oc.env:CONVLAB_OWN}"])


def test_an_environment_variable_is_trimmed_but_not_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///a.db\n")
    monkeypatch.setenv("CONVLAB_PASSWORD", " with spaces ")
    config = compose_config(["tags.note=${oc.env:CONVLAB_PASSWORD}"])
    assert (config.tracking.uri, config.tags) == ("sqlite:///a.db", {"note": " with spaces "})


@pytest.mark.parametrize("typed", ["hydra.sweeper.objectives=val_accuracy,parameters", "hydra.sweeper.n_jobs=1,2"])
def test_several_values_for_a_setting_of_the_whole_sweep_are_refused(typed: str) -> None:
    key = re.escape(typed.partition("=")[0])
    with (
        pytest.raises(ConfigError, match=rf"^{key}=.*: several values, .* choose one, and write a list as '{key}=\["),
        sweep_ready(["seed=1,2", typed]),
    ):
        pass
