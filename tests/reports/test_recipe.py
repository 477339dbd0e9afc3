"""The best trial of a sweep as a recipe."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.reports import recipe
from src.reports.recipe import check_recipe_name, difference, trial_recipe
from src.schema import as_tree
from tests.space.test_planning import own_model
from tests.support.sweeps import plan
from tests.support.trials import row


@pytest.mark.parametrize(
    ("standard", "wanted", "found"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 3}),
        ({"a": {"b": [1, 2], "c": 1}}, {"a": {"b": [1], "c": 1}}, {"a": {"b": [1]}}),
        ({"dataset": {"data_dir": "x"}}, {"dataset": {"data_dir": "y"}}, {}),
        ({"dataset": {"cache_dir": "x"}}, {"dataset": {"cache_dir": "y"}}, {}),
        ({"dataset": {"folder": "images"}}, {"dataset": {"folder": "pets"}}, {"dataset": {"folder": "pets"}}),
        ({"tracking": {"uri": "x"}}, {"tracking": {"uri": "y"}}, {}),
        ({"tags": {}}, {"tags": {"owner": "ada"}}, {}),
        ({}, {"a": {"b": None}}, {"a": {"b": None}}),
    ],
)
def test_only_what_differs_is_kept_and_nothing_of_one_machine(standard: Any, wanted: Any, found: Any) -> None:
    assert difference(standard, wanted) == found


RECIPES = [
    (["model=lenot,dense", "optimizer=adam,sgd", "optimizer.learning_rate=0.5,0.25"], {"model": "dense"}),
    (["model.dense=[10],[10,20]", "model.conv.1.filters=${model.conv.0.filters}", "model.conv.0.filters=4,9"], {}),
    (["experiment=cnn_mnist_v1,cnn_mnist_v2", "seed=1,2"], {"experiment": "cnn_mnist_v2"}),
    (["dataset=image_folder", "dataset.folder=pets/train", "seed=3,4"], {}),
    (["dataset=image_folder", "dataset.folder=pets", "dataset.name=cats", "seed=3,4"], {}),
    (["dataset=synthetic", "dataset.train_size=100,200", "model.name=mine", "seed=3,4"], {}),
]


@pytest.mark.parametrize(("typed", "chosen"), RECIPES)
def test_a_recipe_composes_to_the_configuration_of_its_trial(
    typed: list[str], chosen: dict[str, Any], tmp_path: Path
) -> None:
    sweep = plan(*typed)
    params = {dimension.name: dimension.samples()[-1] for dimension in sweep.space.dimensions} | chosen
    trained = sweep.space.draw_from(params)
    recipe = trial_recipe(sweep, "study", row(7, 0.5, params=params), as_tree(trained))
    assert recipe.startswith(
        "# @package _global_\n# python -m src.train experiment=best\n# The best of the study study"
    )
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "best.yaml").write_text(recipe)
    again = as_tree(compose_config(["experiment=best", f"hydra.searchpath=['{tmp_path}']"]))
    expected = as_tree(trained)
    assert again.pop("tags") == {"experiment": "best", "best_of": "study"}
    for left_out in ("tracking", "evaluate_test"):
        again.pop(left_out)
    assert again == {name: expected[name] for name in again}


def test_a_recipe_does_not_keep_a_name_that_its_folder_gives() -> None:
    sweep = plan("dataset=image_folder", "dataset.folder=pets/train", "seed=3,4")
    config = as_tree(sweep.space.draw_from({"seed": 3}))
    assert config["dataset"]["name"] == "pets"
    recipe = yaml.safe_load(trial_recipe(sweep, "study", row(0, 0.5, params={"seed": 3}), config))
    assert recipe["dataset"].keys() == {"folder", "image_size"}


def test_a_recipe_keeps_what_was_chosen_for_the_images() -> None:
    sweep = plan("dataset=image_folder", "dataset.folder=pets/train", "seed=3,4")
    config = as_tree(sweep.space.draw_from({"seed": 3}))
    recipe = yaml.safe_load(trial_recipe(sweep, "study", row(0, 0.5, params={"seed": 3}), config))
    assert (recipe["dataset"]["image_size"], recipe["training"]["batch_size"]) == ([128, 128], 128)


def test_a_recipe_for_a_published_data_set_keeps_no_batch_size() -> None:
    sweep = plan("seed=3,4")
    config = as_tree(sweep.space.draw_from({"seed": 3}))
    assert "training" not in yaml.safe_load(trial_recipe(sweep, "study", row(0, 0.5, params={"seed": 3}), config))


def test_the_best_of_a_sweep_may_be_an_option_of_one_s_own_folder(tmp_path: Path) -> None:
    sweep = plan(own_model(tmp_path), "model=lenot,mine")
    trained = sweep.space.draw_from({"model": "mine"})
    recipe = yaml.safe_load(trial_recipe(sweep, "study", row(7, 0.5, params={"model": "mine"}), as_tree(trained)))
    assert {"override /model": "mine"} in recipe["defaults"]
    assert "model" not in recipe


def test_a_recipe_that_a_person_wrote_is_not_written_over_and_one_of_a_sweep_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "CONF", tmp_path)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("seed: 3\n")
    (tmp_path / "experiment" / "best.yaml").write_text("# The best of the study x\nseed: 3\n")
    check_recipe_name("best")
    check_recipe_name("new")
    with pytest.raises(ConfigError, match=r"mine\.yaml was not made by a sweep, .* choose another name"):
        check_recipe_name("mine")


def test_a_recipe_is_yaml_with_the_options_of_its_groups() -> None:
    sweep = plan("model=lenot,dense")
    config = as_tree(sweep.space.draw_from({"model": "dense"}))
    read = yaml.safe_load(trial_recipe(sweep, "study", row(0, 0.5, params={"model": "dense"}), config))
    assert {"override /model": "dense"} in read["defaults"]
    assert read["tags"] == {"experiment": "best", "best_of": "study"}
