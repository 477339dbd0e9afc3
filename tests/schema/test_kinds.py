"""Config classes that know what they build: their declaration, their names in stored configs, what they refuse."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import datasets, fitting, models
from src.cli.compose import compose, compose_config
from src.cli.conversion import config_from_dict, to_dataclass
from src.errors import ConfigError
from src.schema import REGISTRY, Config, DatasetConfig, Kind, ModelConfig, ScheduleConfig, as_tree, find_kind, flatten
from src.schema.optimizer import AdamConfig, SGDConfig
from src.schema.pruners import MedianConfig
from src.schema.samplers import GridConfig
from src.schema.schedule import CosineConfig
from tests.support.configs import IMAGES

SEVERAL = [name for name, group in REGISTRY.items() if group.key]
KINDS = [
    pytest.param(group.name, kind, id=f"{group.name}-{kind}") for group in REGISTRY.values() for kind in group.kinds
]

# --- what a kind declares ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "kind"), KINDS)
def test_what_a_kind_builds_exists_and_can_be_called(group: str, kind: str) -> None:
    if REGISTRY[group].key:
        assert callable(find_kind(group, kind).builder())


@pytest.mark.parametrize("group", SEVERAL)
def test_the_key_of_a_group_has_the_kind_as_its_value_in_every_class(group: str) -> None:
    for kind, config in REGISTRY[group].kinds.items():
        defaults = {field.name: field.default for field in fields(config)}
        assert defaults[str(REGISTRY[group].key)] == kind


# --- a key that names another kind ---------------------------------------------------------------------------------

AGREES = [
    "model.family=sequential",
    "dataset.loader=idx",
    "optimizer.name=rmsprop",
    "loss.name=cross_entropy",
    "schedule.name=none",
    "augmentation.method=standard",
]
OTHERS = [
    ("model.family=resnet", r"the kind 'sequential'; choose model=resnet18 or .*, or remove `model\.family`$"),
    ("model.family=lenot", r"the kind 'sequential'; choose with model=NAME; did you mean 'lenot'\? known: alexnet, "),
    ("dataset.loader=cifar", r"the kind 'idx'; choose dataset=cifar10, or remove `dataset\.loader`$"),
    ("dataset.loader=idxx", r"the kind 'idx'; choose with dataset=NAME; known: arrays, cifar10, "),
    ("optimizer.name=adam", r"the kind 'rmsprop'; choose optimizer=adam, or remove `optimizer\.name`$"),
    ("optimizer.name=Adam", r"the kind 'rmsprop'; choose with optimizer=NAME; did you mean 'adam'\?"),
    ("loss.name=hinge", r"the kind 'cross_entropy'; choose with loss=NAME; known: cross_entropy, focal$"),
    ("augmentation.method=mixup", r"the kind 'standard'; choose with augmentation=NAME; known: digits, "),
    ("schedule.name=cosine", r"the kind 'none'; choose schedule=cosine, or remove `schedule\.name`$"),
]
SWEPT = [
    ("hydra.sweeper.sampler.name=random", r"the kind 'tpe'; choose hydra/sweeper/sampler=random, or remove `hydra\."),
    ("hydra.sweeper.pruner.name=median", r"the kind 'none'; choose hydra/sweeper/pruner=median, or remove `hydra\."),
    ("hydra.sweeper.pruner.name=best", r"the kind 'none'; choose with hydra/sweeper/pruner=NAME; known: hyperband, "),
    ("hydra.sweeper.engine.name=slurm", r"the kind 'local'; choose hydra/sweeper/engine=slurm, or remove `hydra\."),
]


def test_every_group_of_several_kinds_is_tested_with_another_kind() -> None:
    typed = {line.partition("=")[0] for line, _ in (*OTHERS, *SWEPT)}
    assert typed == {f"{REGISTRY[name].dotted}.{REGISTRY[name].key}" for name in SEVERAL}


@pytest.mark.parametrize("override", AGREES)
def test_a_typed_kind_that_agrees_is_accepted(override: str) -> None:
    assert compose_config([override]) == compose_config()


@pytest.mark.parametrize(("override", "sentence"), OTHERS)
def test_a_typed_kind_that_differs_is_refused_with_the_option_to_choose(override: str, sentence: str) -> None:
    key, _, value = override.partition("=")
    with pytest.raises(ConfigError, match=rf"^{key}: got '{value}', but the chosen \w+ is of {sentence}"):
        compose_config([override])


@pytest.mark.parametrize(("override", "sentence"), SWEPT)
def test_a_typed_kind_of_a_sweep_that_differs_is_refused_with_the_option_to_choose(
    override: str, sentence: str
) -> None:
    config = compose("train", ["hydra/sweeper=optuna", override], with_hydra=True)
    with pytest.raises(
        ConfigError, match=rf"^{override.replace('=', ': got .')}', but the chosen \w+ is of {sentence}"
    ):
        to_dataclass(config.hydra.sweeper, "hydra.sweeper.")


def test_a_schedule_is_recorded_as_what_trained() -> None:
    with pytest.raises(ConfigError, match=r"^schedule\.name: got 'none', but .*; choose schedule=none, or remove"):
        compose_config(["schedule=cosine", "schedule.name=none"])


@pytest.mark.parametrize(
    ("config", "received"), [(SGDConfig, "adam"), (CosineConfig, "none"), (MedianConfig, "none"), (GridConfig, "")]
)
def test_a_class_refuses_the_name_of_another_kind(config: Any, received: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"\.name: got '{received}', but the chosen .* {config.kind!r}; choose another"
    ):
        config(name=received)


def test_a_class_for_several_kinds_is_not_one_itself() -> None:
    with pytest.raises(ConfigError, match=r"^schedule\.name: got ''"):
        ScheduleConfig()


@pytest.mark.parametrize("group", [name for name in SEVERAL if not REGISTRY[name].parent])
@pytest.mark.parametrize("kind", ["nothing_like_it", "building", "../x", "", None, 3, []])
def test_a_stored_config_of_an_unknown_kind_is_refused(group: str, kind: object) -> None:
    tree = as_tree(compose_config())
    tree[group][REGISTRY[group].key] = kind
    with pytest.raises(ConfigError, match=rf"^{group}: no kind .*; known: "):
        config_from_dict(tree)


@pytest.mark.parametrize("group", [name for name, group in REGISTRY.items() if group.default])
@pytest.mark.parametrize("has_group", [True, False])
def test_a_stored_config_from_before_a_group_had_kinds_is_of_the_default_kind(group: str, has_group: bool) -> None:
    config = compose_config()
    tree = as_tree(config)
    if has_group:
        del tree[group][REGISTRY[group].key]
    else:
        del tree[group]
    assert config_from_dict(tree) == config


# --- a new kind ----------------------------------------------------------------------------------------------------


def test_a_new_model_is_one_python_file_and_one_yaml(more_kinds: list[str]) -> None:
    config = compose_config([*more_kinds, "model=flat5"])
    assert flatten(config.model) == {"name": "flat5", "family": "flat", "input_size": None, "units": 5}
    assert models.build_model(config.model, (2, 2, 1), 4).count_params() == (4 + 1) * 5 + (5 + 1) * 4
    assert config_from_dict(as_tree(config)) == config


def test_a_new_loss_is_one_python_file_and_one_yaml(more_kinds: list[str]) -> None:
    config = compose_config([*more_kinds, "loss=distance"])
    assert flatten(config.loss) == {"name": "distance", "power": 2.0}
    loss = config.loss.builder()(**config.loss.settings())
    assert float(loss(np.array([1, 0]), np.array([[0.5, 0.5], [1.0, 0.0]], np.float32))) == 0.125
    assert config_from_dict(as_tree(config)) == config


def test_a_new_augmentation_is_one_python_file_and_one_yaml(more_kinds: list[str]) -> None:
    config = compose_config([*more_kinds, "augmentation=negative"])
    assert flatten(config.augmentation) == {"name": "negative", "method": "invert", "share": 1.0}
    assert config.augmentation.changes_images
    versions = fitting.augmented(np.full((1, 2, 2, 1), 55, np.uint8), config.augmentation, seed=1, versions=3)
    assert versions.dtype == np.uint8
    assert versions.tolist() == np.full((1, 3, 2, 2, 1), 200).tolist()
    assert config_from_dict(as_tree(config)) == config


def test_a_kind_that_is_read_back_is_found_by_its_file(more_kinds: list[str]) -> None:
    tree = as_tree(compose_config())
    tree["model"] = {"name": "flat5", "family": "flat", "units": 4}
    read: Any = config_from_dict(tree).model
    assert (read.units, read.builds) == (4, "src.models.flat:build_flat")


def test_a_file_of_an_unknown_kind_is_refused_with_the_kinds_that_exist(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss/mine.yaml").write_text("defaults: [/schema/loss/cross_entropi@_here_]\n")
    with pytest.raises(
        ConfigError,
        match=r"no schema/loss 'cross_entropi'; did you mean 'cross_entropy'\? known: cross_entropy, focal$",
    ):
        compose_config([f"hydra.searchpath=[file://{tmp_path}]", "loss=mine"])


WITHOUT_KINDS = [
    ("model", "layers", "sequential, "),
    ("loss", "dividing", "cross_entropy, focal$"),
    ("augmentation", "dividing", "standard$"),
]


@pytest.mark.parametrize(("group", "file", "known"), WITHOUT_KINDS)
def test_a_file_that_declares_no_kind_is_not_one(group: str, file: str, known: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{group}: no kind '{file}'; known: {known}"):
        find_kind(group, file)


def test_a_new_data_set_has_the_behavior_that_all_have_by_default(registry_restored: None, tmp_path: Path) -> None:
    @dataclass(kw_only=True)
    class GivenConfig(DatasetConfig, kind="given", builds="src.datasets.synthetic:load_synthetic"):
        train_size: int = 20
        test_size: int = 10
        seed: int = 0

    config = GivenConfig(name="given", **IMAGES)
    assert (config.resize_mode, config.root, config.set_by_folder()) == ("stretch", None, set())
    assert config.named() is config.from_source("full") is datasets.find_below(config, str(tmp_path)) is config
    assert len(datasets.load_dataset(config).test) == 10


def test_a_kind_that_is_declared_twice_is_an_error(registry_restored: None) -> None:
    with pytest.raises(TypeError, match="optimizer: the kind 'adam' is declared twice"):

        class OtherAdam(AdamConfig, kind="adam", builds="keras.optimizers:Adam"):
            pass


def test_a_class_without_a_kind_of_its_own_is_of_the_kind_of_its_base(registry_restored: None) -> None:
    @dataclass(kw_only=True)
    class QuickAdam(AdamConfig):
        learning_rate: float = 0.5

    assert (QuickAdam().name, QuickAdam.kind) == ("adam", "adam")
    assert find_kind("optimizer", "adam") is AdamConfig


def test_settings_are_the_fields_without_the_one_that_names_the_kind() -> None:
    assert CosineConfig(alpha=0.5).settings() == {
        "warmup_epochs": 1.0,
        "alpha": 0.5,
    }


@pytest.mark.parametrize("config", [Config, ModelConfig, Kind])
def test_only_kinds_are_registered(config: type) -> None:
    assert all(config not in group.kinds.values() for group in REGISTRY.values())
