"""Every file of conf/ is under test by being there: an option composes, is named after its file, and reads back."""

import copy
import functools
import json
import math
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from src import schema
from src.cli.compose import CONF, compose, compose_config, compose_tree
from src.cli.conversion import config_from_dict, to_dataclass
from src.errors import ConfigError
from src.schema import as_tree, decisive_leaves, flatten, is_place, with_given_name
from tests.support.workplace import ROOT

FILES = [
    path for path in sorted(CONF.glob("*/*.yaml")) if path.parent.name not in ("hydra", "local")
]  # local/: a machine's own
OPTIONS = pytest.mark.parametrize(("group", "option"), [(path.parent.name, path.stem) for path in FILES])
TYPED = [(path.parent.name, path.stem) for path in FILES if path.parent.name in schema.RUN_GROUPS]
SEARCHES = [path for path in FILES if path.parent.name == "hparams_search"]  # tests/space/test_planning.py plans them
RECIPES = [path for path in FILES if path.parent.name not in schema.RUN_GROUPS and path not in SEARCHES]
STORED: dict[str, dict[str, Any]] = json.loads((ROOT / "tests/support/options.json").read_text(encoding="utf-8"))
WHOLE_RUNS = ("experiment", "hparams_search", "debug")  # groups whose options set keys of all others
# Settings with another value than that of the runs from before they existed: such a run is another training now.
NEW_VALUES = {"model.batch_norm_momentum", "optimizer.decay_biases"}
PRIMARY = [path.stem for path in sorted(CONF.glob("*.yaml"))]


@functools.cache
def composed(group: str, option: str) -> schema.Config:
    """The default run with this option, on images that are large enough for any network and may be mirrored."""
    fitting = {"model": ["dataset.image_size=[256,256]"], "augmentation": ["dataset.flips=true"]}
    config = compose_config([f"{group}={option}", *fitting.get(group, [])])
    assert isinstance(config, schema.Config)
    return config


@OPTIONS
def test_every_option_of_every_group_composes_and_reads_back_from_yaml(group: str, option: str) -> None:
    config = composed(group, option)
    kept = yaml.safe_load(yaml.safe_dump(as_tree(config)))
    assert kept == as_tree(config)
    assert config_from_dict(kept) == config


@pytest.mark.parametrize("stored", STORED)
def test_an_option_has_the_keys_and_values_that_fingerprints_and_studies_were_made_of(stored: str) -> None:
    """The file has what older versions composed. A difference makes old runs and studies look like others."""
    group, _, option = stored.rpartition("=")
    if group.startswith("hydra/"):
        group, found = group.replace("/", "."), composed_sweeper(stored)
    else:
        found = decisive_leaves(with_given_name(as_tree(composed(group, option))))
    expected = {name: value for name, value in STORED[stored].items() if not is_place(name) and "storage" not in name}
    assert {name: found.get(name, "missing") for name in expected} == expected
    if group != "hydra.sweeper":  # a setting that was added since then is marked with `ADDED` of src/schema/checks.py
        prefix = "" if group in WHOLE_RUNS else f"{group}."
        assert {name for name in found if name.startswith(prefix)} - NEW_VALUES == set(expected)


def composed_sweeper(option: str) -> dict[str, Any]:
    """The leaves of `hydra.sweeper` with an option of the sweeper, its sampler or its pruner."""
    chosen = [] if option.startswith("hydra/sweeper=") or option.endswith("=grid") else ["hydra/sweeper=optuna"]
    needed = ["hydra.sweeper.pruner.lower=0"] if option.endswith("=threshold") else []
    sweeper = compose("train", [*chosen, option, *needed], with_hydra=True).hydra.sweeper
    return flatten(to_dataclass(sweeper, "hydra.sweeper."), "hydra.sweeper")


@pytest.mark.parametrize(("group", "option"), TYPED)
def test_an_option_is_named_after_its_file_and_typed_by_its_group(group: str, option: str) -> None:
    chosen = getattr(composed(group, option), group)
    assert compose_tree([f"{group}={option}"])[group]["name"] == option  # its folder names a data set later
    assert type(chosen) in schema.REGISTRY[group].kinds.values()


@pytest.mark.parametrize(("group", "option"), TYPED)
def test_no_number_of_an_option_may_be_nan(group: str, option: str) -> None:
    tree = as_tree(composed(group, option))
    for key in [key for key, value in tree[group].items() if isinstance(value, float)]:
        broken = copy.deepcopy(tree)
        broken[group][key] = math.nan
        with pytest.raises(ConfigError, match=rf"^{group}\.{key}: got nan"):
            config_from_dict(broken)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recipe_changes_the_default_run_and_says_its_command(recipe: Path) -> None:
    group, name = recipe.parent.name, recipe.stem
    assert composed(group, name) != compose_config()
    header = [line for line in recipe.read_text().splitlines() if line.startswith("# python -m ")]
    assert any(f"{group}={name}" in line for line in header)


@pytest.mark.parametrize("group", schema.RUN_GROUPS)
def test_every_kind_of_a_group_is_used_by_one_of_its_files(group: str) -> None:
    kinds = schema.REGISTRY[group].kinds.values()
    assert {type(getattr(composed(*typed), group)) for typed in TYPED if typed[0] == group} == set(kinds)


# --- primary configs -----------------------------------------------------------------------------------------------


def defaults(primary: str) -> list[str]:
    """The groups that a primary config draws in."""
    entries = yaml.safe_load((CONF / f"{primary}.yaml").read_text())["defaults"]
    return [key.removeprefix("optional ") for entry in entries if isinstance(entry, dict) for key in entry]


def test_every_primary_config_has_a_schema_and_every_schema_a_primary_config() -> None:
    assert set(PRIMARY) == set(schema.PRIMARY)


def test_every_group_can_be_chosen_in_some_primary_config() -> None:
    offered = {group for primary in PRIMARY for group in defaults(primary)}
    assert {path.parent.name for path in FILES} <= offered


@pytest.mark.parametrize("primary", PRIMARY)
def test_a_primary_config_composes_to_its_schema_and_resolves(primary: str) -> None:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(primary)
    assert OmegaConf.get_type(config) is schema.PRIMARY[primary]
    tree: Any = OmegaConf.to_container(config, resolve=True)
    missing = {name for name, value in flatten(tree).items() if value == "???"}
    assert missing <= {"run_id", "images"}  # which only the user can know


@pytest.mark.parametrize("primary", PRIMARY)
def test_a_primary_config_opens_with_its_command_which_exists(primary: str) -> None:
    line = (CONF / f"{primary}.yaml").read_text().splitlines()[0]
    package = next((package for package in ("src", "pipelines") if f"# python -m {package}.{primary} " in line), "none")
    assert (CONF.parent / package / f"{primary}.py").is_file()


@pytest.mark.parametrize("primary", PRIMARY)
def test_hydra_writes_no_folder_of_its_own_where_secrets_would_be_kept(primary: str) -> None:
    settings = compose(primary, [], with_hydra=True).hydra
    assert settings.output_subdir is None
    assert settings.run.dir == "."


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
@pytest.mark.parametrize("debug", sorted(path.stem for path in (CONF / "debug").glob("*.yaml")))
def test_every_recipe_can_be_debugged(recipe: str, debug: str) -> None:
    assert compose_config([f"experiment={recipe}", f"debug={debug}"]).tracking.uri == "sqlite:///.debug/mlflow.db"


@pytest.mark.parametrize("schedule", sorted(path.stem for path in (CONF / "schedule").glob("*.yaml")))
def test_a_fast_dev_run_works_with_every_default_of_a_schedule(schedule: str) -> None:
    assert compose_config(["debug=fast_dev_run", f"schedule={schedule}"]).schedule.name == schedule
