"""What a sweep leaves to look at; tests/sweep/ has it from whole sweeps."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.reports import recipe
from src.reports.recipe import best_recipe, check_recipe_name, difference
from src.reports.sweep import describe_sweep, record_results
from src.results import Counts, SweepResult, TrialRow
from src.schema import as_tree
from src.tracking import NullRun
from tests.space.test_planning import own_model
from tests.support.runs import config_for, new_run
from tests.support.sweeps import plan


def row(number: int, value: float, params: dict[str, Any], run_id: str | None = None) -> TrialRow:
    return TrialRow(number, "COMPLETE", value, params, 1.0, 1, 1, {1: value}, run_id, False, "")


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
    recipe = best_recipe(sweep, "study", row(7, 0.5, params), as_tree(trained))
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
    recipe = yaml.safe_load(best_recipe(sweep, "study", row(0, 0.5, {"seed": 3}), config))
    assert recipe["dataset"] == {"folder": "pets/train"}


def test_the_best_of_a_sweep_may_be_an_option_of_one_s_own_folder(tmp_path: Path) -> None:
    sweep = plan(own_model(tmp_path), "model=lenot,mine")
    trained = sweep.space.draw_from({"model": "mine"})
    recipe = yaml.safe_load(best_recipe(sweep, "study", row(7, 0.5, {"model": "mine"}), as_tree(trained)))
    assert {"override /model": "mine"} in recipe["defaults"]
    assert "model" not in recipe


SEVEN = Counts(complete=7, pruned=0, failed=0, running=0, retried=0)


def test_the_description_begins_with_the_best_trial_then_counts_table_search_and_warnings() -> None:
    sweep = plan("model.dropout=0.1,0.2")
    rows = [row(0, 0.5, {"model.dropout": 0.1}, "run0"), row(1, 0.75, {"model.dropout": 0.2})]
    parts = describe_sweep(NullRun("9"), sweep, rows, SEVEN, ["a stand-in"]).split("\n\n")
    assert parts[0] == "**val_accuracy 0.7500**: trial-001 with model.dropout=0.2"
    assert parts[1] == "7 trials: 7 complete."
    assert parts[2].startswith("| trial | val_accuracy | model.dropout |\n")
    assert parts[3:] == [
        "Searched with sampler grid and pruner none:",
        "- model.dropout: 0.1, 0.2",
        "**Warning:** a stand-in",
    ]


def test_without_a_complete_trial_the_description_says_so() -> None:
    none = Counts(complete=0, pruned=0, failed=1, running=0, retried=0)
    text = describe_sweep(NullRun("9"), plan("model.dropout=0.1,0.2"), [], none)
    assert text.startswith("No trial is complete.\n\n1 trial: 1 failed.\n\nSearched")


def test_the_description_links_the_five_best_trials() -> None:
    sweep = plan("model.dropout=0.1,0.2")
    rows = [row(number, number / 10, {"model.dropout": 0.1}, f"run{number}") for number in range(7)]
    text = describe_sweep(NullRun("9"), sweep, rows, SEVEN)
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| [")] == [
        f"| [trial-00{number}](#/experiments/9/runs/run{number}?workflowType=machine_learning)"
        for number in (6, 5, 4, 3, 2)
    ]


def results(run: Any, rows: list[TrialRow], known: set[str], config: dict[str, Any] | None) -> SweepResult:
    counts = Counts(complete=len(rows), pruned=0, failed=0, running=0, retried=0)
    return record_results(run, plan("model.dropout=0.1,0.2"), "study", rows, counts, known, lambda _: config)


def test_a_trial_whose_run_is_gone_is_not_linked_and_the_best_is_still_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = as_tree(compose_config(["model.dropout=0.2"]))
    rows = [row(0, 0.5, {"model.dropout": 0.1}, "here"), row(1, 0.75, {"model.dropout": 0.2}, "gone")]
    with new_run(config_for("sqlite:///mlflow.db")) as run:
        result = results(run, rows, {"here"}, config)
    assert (result.best_trial, result.best_run_id, result.best_config) == (1, None, config)
    client = MlflowClient("sqlite:///mlflow.db")
    described = client.get_run(str(run.run_id)).data.tags["mlflow.note.content"]
    assert "runs/here?" in described
    assert "runs/gone" not in described
    assert "dropout: 0.2" in Path(client.download_artifacts(str(run.run_id), "best.yaml")).read_text()
    assert "gone" in Path(client.download_artifacts(str(run.run_id), "trials.csv")).read_text()  # to be restored by


def test_a_best_trial_of_an_earlier_version_has_its_value_as_the_best_metric_of_that_name() -> None:
    result = results(NullRun(), [row(0, 0.5, {"model.dropout": 0.1})], set(), None)
    assert result.best_metrics == {"best_val_accuracy": 0.5, "best_epoch": 1}


def test_a_best_trial_with_an_unknown_configuration_has_no_recipe() -> None:
    result = results(NullRun(), [row(0, 0.5, {"model.dropout": 0.1})], set(), None)
    assert (result.best_trial, result.best_config) == (0, None)


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
    read = yaml.safe_load(best_recipe(sweep, "study", row(0, 0.5, {"model": "dense"}), config))
    assert {"override /model": "dense"} in read["defaults"]
    assert read["tags"] == {"experiment": "best", "best_of": "study"}
