"""The pipeline compare_models: what it trains, how it ranks, what it records; tests/pipelines/ has whole ones."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from src.cli.compose import compose_config
from src.errors import ConfigError
from src.fitting import Scores
from src.reports import compare_models as comparison
from src.reports import record_evaluation
from src.reports.assessment import compute_intervals
from src.reports.compare_models import leaderboard_cells, leaderboard_columns
from src.results import ComparisonResult, Interval, LeaderboardRow, TrainResult
from src.schema import CompareModelsConfig, Config, CrossEntropyConfig
from src.tracking import resume_run
from tests.support.configs import composed
from tests.support.probabilities import given_dataset, random_model
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace

ROW = LeaderboardRow(
    "lenot", 0.99123, 0.00034, 0.98984, 0.00016, 3, 61_706, 12.34, 742_816, 0.0031415, "a1", Interval(0.988, 0.991)
)

DIGEST = "0" * 64  # of the data


def compare(*line: str) -> CompareModelsConfig:
    config = composed(*line, config_name="compare_models")
    assert isinstance(config, CompareModelsConfig)
    return config


def plan(*line: str) -> dict[str, list[Config]]:
    """Return what `python -m pipelines.compare_models <line>` trains."""
    return comparison.plan_comparison(compare(*line), line)


# --- what is trained ---------------------------------------------------------------------------------------------


def test_every_network_is_planned_with_every_seed_in_the_order_given() -> None:
    planned = plan("models=[lenot,dense]", "seeds=[3,1]")
    assert {model: [each.seed for each in configs] for model, configs in planned.items()} == {
        "lenot": [3, 1],
        "dense": [3, 1],
    }
    assert [each.model.name for configs in planned.values() for each in configs] == ["lenot", "lenot", "dense", "dense"]


def test_other_settings_apply_to_every_training() -> None:
    planned = plan("models=[lenot,dense]", "seeds=[1]", "optimizer=adam", "training.epochs=3", "model.dropout=0.25")
    for (each,) in planned.values():
        assert (each.optimizer.name, each.training.epochs) == ("adam", 3)
        assert getattr(each.model, "dropout", None) == 0.25


def test_a_recipe_gives_its_settings_and_not_its_network() -> None:
    keep = "dataset.validation_size=null"  # the recipe has none
    ((each,),) = plan("models=[dense]", "seeds=[1]", "experiment=cnn_mnist_v1", keep).values()
    recipe = compose_config(["experiment=cnn_mnist_v1"])
    assert (each.model.name, each.optimizer) == ("dense", recipe.optimizer)


@pytest.mark.parametrize("typed", [[], ["tracking.on_duplicate=train"]])
def test_finished_trainings_are_always_reused(typed: list[str]) -> None:
    assert plan("models=[dense]", "seeds=[1]", *typed)["dense"][0].tracking.on_duplicate == "reuse"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["models=[]"], r"^models: got \[\], expected different options"),
        (["models=[lenot,lenot]"], r"^models: got \['lenot', 'lenot'\], expected different"),
        (["models=[lenot,lennot]"], r"^no model 'lennot'; did you mean 'lenot'\?"),
        (["seeds=[]"], r"^seeds: got \[\], expected different integers"),
        (["seeds=[-1]"], r"^seeds: got \[-1\], expected different integers from 0"),
        (["model=lenot"], r"^model: this pipeline takes several; use models=\[\.\.\.\]$"),
        (["seed=3"], r"^seed: this pipeline takes several; use seeds=\[\.\.\.\]$"),
        (["++seed=3"], r"^seed: this pipeline takes several; use seeds=\[\.\.\.\]$"),
        (["models=[lenot,dense]", "model.conv.0.filters=3"], r"model\.conv\.0"),
        (["models=[dense,alexnet]"], r"too small for alexnet"),
        (["tracking=off"], r"^tracking=off: a pipeline reads its runs"),
        (["tracking.detail=light"], r"^tracking\.detail, tracking\.save_model: a pipeline needs runs with all"),
        (["tracking.save_model=false"], r"^tracking\.detail, tracking\.save_model: a pipeline needs runs with all"),
        (["evaluate_test=false"], r"^evaluate_test=false: a pipeline scores its models on the test split"),
        (["dataset.validation_size=0"], r"^dataset\.validation_size=0: networks are ranked by validation accuracy"),
        (["dataset=image_folder", "dataset.validation_size=0"], r"^dataset\.validation_size=0: networks are ranked"),
        (["experiment=cnn_mnist_v1"], r"use dataset\.validation_size=null for the data set's own split"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(typed: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(*typed)


# --- the pipeline's run ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("compared"))


def begun(store: Workplace, *line: str, data_digest: str = DIGEST) -> MlflowRun:
    """Return the run of such a comparison, the parent of its trainings."""
    full = ("models=[lenot]", "seeds=[1]", f"tracking.uri='{store.uri}'", *line)
    config = compare(*full)
    with comparison.comparison_run(config, comparison.plan_comparison(config, full), data_digest) as run:
        pass
    return MlflowClient(store.uri).get_run(str(run.run_id))


@pytest.fixture(scope="module")
def first(store: Workplace) -> MlflowRun:
    return begun(store)


def test_the_run_is_named_by_what_is_compared_and_on_what(store: Workplace) -> None:
    run = begun(store, "models=[lenot,dense]")
    assert run.data.tags["mlflow.runName"] == "compare lenot, dense on mnist"
    assert (run.data.tags["pipeline"], run.info.status) == ("compare_models", "FINISHED")


def test_what_a_comparison_is_called_makes_no_other_run(store: Workplace, first: MlflowRun) -> None:
    assert begun(store, "tags.owner=ada", "tracking.run_name=x").info.run_id == first.info.run_id


def test_other_images_in_the_same_folder_are_another_comparison(store: Workplace, tmp_path: Path) -> None:
    line = ["dataset=image_folder", f"dataset.folder='{tmp_path}'", "dataset.image_size=[28,28]"]
    run = begun(store, *line)
    assert begun(store, *line).info.run_id == run.info.run_id
    assert begun(store, *line, data_digest="1" * 64).info.run_id != run.info.run_id


@pytest.mark.parametrize("line", ["seeds=[2]", "models=[dense]", "training.epochs=3", "dataset=fashion_mnist"])
def test_another_comparison_has_another_run(store: Workplace, first: MlflowRun, line: str) -> None:
    assert begun(store, line).info.run_id != first.info.run_id


def test_comparisons_on_two_folders_of_images_have_separate_runs(store: Workplace) -> None:
    cats, dogs = (begun(store, "dataset=image_folder", f"dataset.folder=/mnt/{name}") for name in ("cats", "dogs"))
    assert [run.data.tags["mlflow.runName"] for run in (cats, dogs)] == [
        *("compare lenot on cats", "compare lenot on dogs")
    ]
    assert cats.info.run_id != dogs.info.run_id


def test_where_the_store_and_the_data_are_makes_no_other_key(
    store: Workplace, first: MlflowRun, tmp_path: Path
) -> None:
    places = [f"tracking.uri='{store.uri}?timeout=20'", "tracking.experiment=moved", f"dataset.data_dir='{tmp_path}'"]
    moved = begun(store, *places)
    assert moved.info.run_id != first.info.run_id
    assert moved.data.tags["convlab.pipeline_key"] == first.data.tags["convlab.pipeline_key"]


# --- the ranking -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as a run keeps it; it has learned nothing."""
    from src.models import build_model
    from src.saving import save_model

    config = compose_config(["model=dense", "dataset=synthetic"])
    model = build_model(config.model, config.dataset.input_shape, 10)
    images = np.zeros((1, *config.dataset.input_shape), np.uint8)
    return save_model(model, tmp_path_factory.mktemp("saved") / "model", images, ("model.keras",))


def result(store: Workplace, folder: Path, parameters: int, *accuracies: float, test: float) -> list[TrainResult]:
    """Results of trainings of a network with this number of parameters, also as runs in the store.

    Args:
        accuracies: on the validation split, at the best epoch, of each seed.
        test: test accuracy of the first seed; that of each further one is 0.125 larger.
    """
    results = []
    for number, accuracy in enumerate(accuracies):
        with new_run(config_for(store.uri)) as run:
            run.log_params({"resolved.parameters": parameters})
            run.log_dataset("synthetic", "d" * 64, "generated", {})
            with run.new_folder("model") as kept:
                shutil.copytree(folder, kept)
        metrics = {"val_accuracy": accuracy, "test_accuracy": test + number / 8}
        history = {"epoch_seconds": [1.0, 2.0 + number], "val_accuracy": [accuracy, 0.0]}
        results.append(TrainResult(run_id=run.run_id, best_epoch=1, metrics=metrics, history=history))
    return results


Ranked = dict[str, tuple[LeaderboardRow, list[TrainResult]]]


@pytest.fixture(scope="module")
def ranked(store: Workplace, model_folder: Path) -> Ranked:
    """The rows of four networks in their order, and what they come from."""
    results = {
        "poor, but not on the test split": result(store, model_folder, 10, 0.5, 0.25, test=0.875),
        "as good and large": result(store, model_folder, 300, 0.75, test=0.75),
        "as good and small": result(store, model_folder, 200, 0.75, test=0.5),
        "best": result(store, model_folder, 400, 0.75, 1.0, test=0.25),
    }
    config = compare("dataset=synthetic", f"tracking.uri='{store.uri}'")
    return {row.model: (row, results[row.model]) for row in comparison.rank_models(config, results)}


def test_the_best_by_validation_is_first_and_of_equal_ones_the_smaller(ranked: Ranked) -> None:
    assert list(ranked) == ["best", "as good and small", "as good and large", "poor, but not on the test split"]


def test_a_row_has_mean_and_spread_of_its_seeds_on_both_splits(ranked: Ranked) -> None:
    row, _ = ranked["best"]
    assert (row.best_val, row.test, row.seeds) == (0.875, 0.3125, 2)
    assert row.best_val_spread == pytest.approx(0.125 * 2**0.5)
    assert row.test_spread == pytest.approx(0.0625 * 2**0.5)


def test_a_single_seed_has_no_spread(ranked: Ranked) -> None:
    row, _ = ranked["as good and small"]
    assert (row.best_val_spread, row.test_spread, row.seeds) == (None, None, 1)
    assert leaderboard_cells(row)[1:6] == ("0.7500", "-", "0.5000", "-", "-")


def test_size_and_speed_are_those_of_the_first_seed_and_seconds_a_mean(ranked: Ranked, model_folder: Path) -> None:
    row, results = ranked["best"]
    assert (row.run_id, row.parameters, row.seconds) == (results[0].run_id, 400, 3.5)
    assert row.size == (model_folder / "model.keras").stat().st_size
    assert 0 < row.latency < 1


# --- another metric than accuracy ----------------------------------------------------------------------------------


def with_losses(results: list[TrainResult], *losses: float) -> list[TrainResult]:
    return [
        replace(result, metrics=result.metrics | {"val_loss": loss, "test_loss": loss + 1})
        for result, loss in zip(results, losses, strict=True)
    ]


@pytest.fixture(scope="module")
def by_loss(store: Workplace, model_folder: Path) -> tuple[MlflowRun, ComparisonResult]:
    """A comparison by loss: the network with the worse accuracy has the better loss."""
    line = ("models=[lenot,dense]", "seeds=[1]", "dataset=synthetic", "training.monitor=val_loss")
    config = compare(*line, f"tracking.uri='{store.uri}'")
    planned = comparison.plan_comparison(config, (*line, f"tracking.uri='{store.uri}'"))
    trained = {
        "lenot": with_losses(result(store, model_folder, 300, 0.75, test=0.75), 0.5),
        "dense": with_losses(result(store, model_folder, 300, 0.5, test=0.5), 0.25),
    }
    with comparison.comparison_run(config, planned, DIGEST) as run:
        found = comparison.record_comparison(run, config, planned, trained)
    return MlflowClient(store.uri).get_run(str(run.run_id)), found


def test_the_metric_of_the_monitor_ranks_the_networks(by_loss: tuple[MlflowRun, ComparisonResult]) -> None:
    run, found = by_loss
    assert [(row.model, row.best_val, row.test) for row in found.rows] == [("dense", 0.25, 1.25), ("lenot", 0.5, 1.5)]
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("Winner on synthetic: dense with validation loss 0.2500 and test loss 1.2500 (1 seed).")
    assert "| best val loss" in note


def test_its_columns_and_metrics_are_named_after_it_and_the_accuracy_stays(
    store: Workplace, by_loss: tuple[MlflowRun, ComparisonResult], tmp_path: Path
) -> None:
    run, _ = by_loss
    assert run.data.metrics == {
        "best_val_loss": 0.25,
        "test_loss": 1.25,
        "best_val_accuracy": 0.5,
        "test_accuracy": 0.5,
    }
    client = MlflowClient(store.uri)
    with Path(client.download_artifacts(run.info.run_id, "leaderboard.csv", str(tmp_path))).open() as file:
        (first, _) = csv.DictReader(file)
    assert (first["best_val_loss"], first["loss"], first["spread"]) == ("0.25", "1.25", "")


# --- intervals -----------------------------------------------------------------------------------------------------


def keep_answers(store: Workplace, results: list[TrainResult], images: int) -> list[TrainResult]:
    """Record answers in the runs as a training does, of models that are about equally good."""
    kept = []
    for number, result in enumerate(results):
        labels, probabilities = random_model(1, images, skill=1.5)
        probabilities = (probabilities + 0.1 * number).astype(np.float32)
        dataset = given_dataset(labels, ["a", "b", "c"])
        scores = Scores({"accuracy": float((probabilities.argmax(axis=1) == labels).mean())}, probabilities)
        with resume_run(config_for(store.uri).tracking, run_id=result.run_id) as run:
            record_evaluation(run, dataset, scores, step=1)
        intervals = compute_intervals(dataset, scores, CrossEntropyConfig())
        kept.append(replace(result, metrics=result.metrics | scores.test_metrics, intervals=intervals))
    return kept


def test_one_seed_has_the_interval_of_its_run_and_several_that_of_their_mean(
    store: Workplace, model_folder: Path
) -> None:
    results = {
        "one": keep_answers(store, result(store, model_folder, 1, 0.75, test=0.5), 200),
        "two": keep_answers(store, result(store, model_folder, 2, 0.5, 0.5, test=0.5), 200),
    }
    config = compare("dataset=synthetic", f"tracking.uri='{store.uri}'")
    one, two = comparison.rank_models(config, results)
    assert one.interval == results["one"][0].intervals["test_accuracy"]
    assert two.interval is not None
    assert two.interval == pytest.approx(one.interval, abs=0.02)  # the same images, and the same answers
    assert two.interval.low < two.test < two.interval.high


def test_a_network_with_a_run_of_an_earlier_version_has_no_interval(store: Workplace, model_folder: Path) -> None:
    results = keep_answers(store, result(store, model_folder, 2, 0.5, 0.5, test=0.5), 50)
    folder = store.folder / "mlartifacts" / str(results[1].run_id) / "artifacts"
    (folder / "tables/test_probabilities.npy").unlink()
    config = compare("dataset=synthetic", f"tracking.uri='{store.uri}'")
    (row,) = comparison.rank_models(config, {"two": results})
    assert row.interval is None


# --- what is shown and kept --------------------------------------------------------------------------------------


def test_a_row_is_shown_in_the_order_of_the_columns() -> None:
    assert dict(zip(leaderboard_columns("accuracy"), leaderboard_cells(ROW), strict=True)) == {
        "model": "lenot",
        "best val accuracy": "0.9912",
        "val spread": "0.0003",
        "test accuracy": "0.9898",
        "test spread": "0.0002",
        "95 % interval": "0.9880-0.9910",
        "seeds": "3",
        "parameters": "61,706",
        "training seconds": "12.3",
        "size on disk, MB": "0.74",
        "latency, ms": "3.14",
    }


@pytest.fixture(scope="module")
def recorded(store: Workplace, model_folder: Path) -> MlflowRun:
    """The run of a comparison of two networks with two seeds, both on the same data; one training has a warning."""
    line = ("models=[lenot,dense]", "seeds=[1,2]", "dataset=synthetic", f"tracking.uri='{store.uri}'")
    config = compare(*line)
    planned = comparison.plan_comparison(config, line)
    trained = {
        "lenot": result(store, model_folder, 300, 0.75, 0.75, test=0.5),
        "dense": result(store, model_folder, 200, 0.5, 0.5, test=0.5),
    }
    trained["dense"][1] = replace(trained["dense"][1], warnings=["NOT the *full* MNIST"])
    with comparison.comparison_run(config, planned, DIGEST) as run:
        found = comparison.record_comparison(run, config, planned, trained)
    assert (found.run_id, [row.model for row in found.rows]) == (run.run_id, ["lenot", "dense"])
    return MlflowClient(store.uri).get_run(str(run.run_id))


def test_the_table_and_a_figure_are_kept_with_the_run(store: Workplace, recorded: MlflowRun, tmp_path: Path) -> None:
    client = MlflowClient(store.uri)
    with Path(client.download_artifacts(recorded.info.run_id, "leaderboard.csv", str(tmp_path))).open() as file:
        kept = list(csv.DictReader(file))
    assert [(row["model"], row["accuracy"], row["seeds"]) for row in kept] == [
        ("lenot", "0.5625", "2"),
        ("dense", "0.5625", "2"),
    ]
    figures = [item.path for item in client.list_artifacts(recorded.info.run_id, "figures")]
    assert figures == ["figures/leaderboard.png"]


def test_the_columns_of_the_ui_show_what_was_compared_and_how_good_the_winner_is(recorded: MlflowRun) -> None:
    data = recorded.data
    assert data.metrics == {
        "best_val_accuracy": 0.75,
        "best_val_accuracy_spread": 0.0,
        "test_accuracy": 0.5625,
        "test_accuracy_spread": pytest.approx(0.0625 * 2**0.5),
    }
    assert data.params == {
        "model.name": "lenot, dense",
        "dataset.name": "synthetic",
        "optimizer.learning_rate": "0.001",
        "seed": "1, 2",
    }
    assert (data.tags["model"], data.tags["dataset"]) == ("lenot, dense", "synthetic")
    assert [item.dataset.name for item in recorded.inputs.dataset_inputs] == ["synthetic"]


def test_the_description_begins_with_the_winner_and_ends_with_the_warnings(recorded: MlflowRun) -> None:
    lines = recorded.data.tags["mlflow.note.content"].splitlines()
    assert lines[0] == (
        "Winner on synthetic: lenot with validation accuracy 0.7500 and test accuracy 0.5625 (2 seeds)."
    )
    assert lines[-1] == "**NOT the &#42;full&#42; MNIST**"


def test_the_description_s_table_links_to_the_runs_and_shows_names_literally() -> None:
    rows = [ROW, ROW._replace(model="<b>|dense", run_id="b2")]
    head, rule, first, second = comparison.describe_comparison("7", "mnist", "accuracy", rows, []).splitlines()[2:6]
    assert head == f"| {' | '.join(leaderboard_columns('accuracy'))} |"
    assert rule.count("---") == len(leaderboard_columns("accuracy"))
    pages = [f"#/experiments/7/runs/{run_id}?workflowType=machine_learning" for run_id in ("a1", "b2")]
    assert first == f"| [lenot]({pages[0]}) | {' | '.join(leaderboard_cells(ROW)[1:])} |"
    assert second.startswith(f"| [&#60;b&#62;&#124;dense]({pages[1]}) |")
