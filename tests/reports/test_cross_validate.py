"""The pipeline cross_validate: what it trains, how it sums up the folds; tests/pipelines/ has a whole one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from scipy import stats

from src.cli.compose import compose_config
from src.errors import ConfigError, DataError
from src.reports import cross_validate as folds
from src.results import CrossValidationResult, FoldRow, FoldSummary
from src.schema import Config, CrossValidateConfig
from src.tracking import fingerprint
from tests.support.configs import composed
from tests.support.pictures import put_class
from tests.support.workplace import Workplace

SYNTHETIC = ("dataset=synthetic", "dataset.train_size=60")


def configure(*line: str) -> CrossValidateConfig:
    config = composed(*line, config_name="cross_validate")
    assert isinstance(config, CrossValidateConfig)
    return config


def plan(*line: str) -> list[Config]:
    """Return what `python -m pipelines.cross_validate <line>` trains."""
    return folds.plan_folds(configure(*line), line)


# --- what is trained ---------------------------------------------------------------------------------------------


def test_each_fold_is_planned_once_with_the_other_settings() -> None:
    planned = plan(*SYNTHETIC, "folds=3", "model=dense", "seed=7", "optimizer=adam", "dataset.fold_seed=4")
    assert [(each.dataset.folds, each.dataset.fold, each.dataset.fold_seed) for each in planned] == [
        *((3, 1, 4), (3, 2, 4), (3, 3, 4))
    ]
    assert {(each.model.name, each.seed, each.optimizer.name) for each in planned} == {("dense", 7, "adam")}


def test_there_are_five_folds_by_default() -> None:
    assert len(plan(*SYNTHETIC)) == 5


def test_a_fold_is_the_training_that_the_same_settings_give_by_themselves() -> None:
    alone = compose_config([*SYNTHETIC, "model=dense", "dataset.folds=3", "dataset.fold=2"])
    prints = [fingerprint(each, "0" * 64) for each in plan(*SYNTHETIC, "folds=3", "model=dense")]
    assert prints.index(fingerprint(alone, "0" * 64)) == 1
    assert len(set(prints)) == 3


@pytest.mark.parametrize(("typed", "names"), [([], "fold 2 of 3"), (["tracking.run_name=lenot"], "lenot fold 2 of 3")])
def test_a_run_is_named_by_its_fold(typed: list[str], names: str) -> None:
    assert plan(*SYNTHETIC, "folds=3", *typed)[1].tracking.run_name == names


@pytest.mark.parametrize("typed", [[], ["tracking.on_duplicate=train"]])
def test_finished_trainings_are_always_reused(typed: list[str]) -> None:
    assert plan(*SYNTHETIC, *typed)[0].tracking.on_duplicate == "reuse"


@pytest.mark.parametrize("is_scored", [True, False])
def test_the_test_split_is_scored_if_it_is_wanted(is_scored: bool) -> None:
    assert {each.evaluate_test for each in plan(*SYNTHETIC, f"evaluate_test={is_scored}")} == {is_scored}


def test_a_recipe_without_a_validation_split_can_be_used() -> None:
    planned = plan("experiment=lenot_mnist", "dataset.validation_size=null", "dataset.source=sample")
    assert planned[0].optimizer == compose_config(["experiment=lenot_mnist"]).optimizer


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["folds=1"], r"^folds: got 1, expected at least 2$"),
        (["folds=0"], r"^folds: got 0, expected at least 2$"),
        (["folds=-3"], r"^folds: got -3, expected at least 2$"),
        (["folds=many"], r"folds.*many"),
        (["dataset.folds=4"], r"^dataset\.folds=4: which fold .* pipelines\.cross_validate folds=4$"),
        (["dataset.folds=4", "dataset.fold=1"], r"^dataset\.folds=4: this pipeline trains every fold; .* use folds=4$"),
        (["dataset.fold=1"], r"^dataset\.fold=1: the number of folds is not set"),
        (["dataset.validation_size=10"], r"^dataset\.validation_size=10: each fold is the validation split of one"),
        (["dataset.validation_size=0"], r"^dataset\.validation_size=0: each fold .* null if a recipe sets it$"),
        (["experiment=lenot_mnist"], r"^dataset\.validation_size=0: each fold .* null if a recipe sets it$"),
        (["training.monitor=accuracy"], r"^training\.monitor=accuracy: .* use training\.monitor=val_accuracy$"),
        (["training.monitor=loss"], r"^training\.monitor=loss: .* use training\.monitor=val_loss$"),
        (["seeds=[1,2]"], r"seeds"),
        (["tracking=off"], r"^tracking=off: a pipeline reads its runs"),
        (["tracking.detail=light"], r"^tracking\.detail, tracking\.save_model: a pipeline needs runs with all"),
        (["resume=0123"], r"^resume=0123: a pipeline continues its interrupted training by itself"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_with_the_reason(typed: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(*typed)


# --- the pipeline's run ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("folds"))


def folder_line(folder: Path, cache: Path) -> list[str]:
    """Return the settings of a folder with images."""
    settings = ["dataset.image_size=[28,28]", f"dataset.folder='{folder}'", f"dataset.cache_dir='{cache}'"]
    return ["dataset=image_folder", *settings]


def begun(store: Workplace, *line: str) -> str:
    """Return the id of the run of such a cross-validation."""
    return begun_on(store, *SYNTHETIC, *line)


def begun_on(store: Workplace, *line: str) -> str:
    """Return the id of the run of a cross-validation of the data that the settings name."""
    full = ("folds=2", f"tracking.uri='{store.uri}'", *line)
    config = configure(*full)
    with folds.cross_validation_run(config, plan(*full)) as run:
        return str(run.run_id)


def test_the_same_cross_validation_has_the_same_run_and_another_one_another(store: Workplace) -> None:
    first = begun(store)
    assert begun(store, "tags.owner=ada", "tracking.run_name=x") == first
    others = [begun(store, line) for line in ("folds=3", "dataset.fold_seed=1", "seed=2", "model=dense")]
    assert len({first, *others}) == 5
    run = MlflowClient(store.uri).get_run(first)
    assert run.data.tags["mlflow.runName"] == "2 folds of synthetic, lenot"
    assert run.data.tags["pipeline"] == "cross_validate"


def test_other_images_in_the_same_folder_are_another_cross_validation(store: Workplace, tmp_path: Path) -> None:
    line = folder_line(tmp_path / "pets", tmp_path / "cache")
    for name in ("cat", "dog"):
        put_class(tmp_path / "pets", name, 8)
    first = begun_on(store, *line)
    assert begun_on(store, *line) == first
    put_class(tmp_path / "pets", "cat", 9)
    assert begun_on(store, *line) != first


def test_more_folds_than_images_of_a_class_are_refused_before_anything_is_recorded(workplace: Workplace) -> None:
    with pytest.raises(DataError, match=r"^dataset\.folds=7: class '0' has 6 of the 60 .*; use at most 6 folds"):
        begun(workplace, "folds=7")
    assert not (workplace.folder / "mlflow.db").exists()


def test_images_without_classes_are_refused(store: Workplace, tmp_path: Path) -> None:
    put_class(tmp_path / "photos", ".", 4)
    with pytest.raises(DataError, match="at least two classes are needed, each in its own folder"):
        begun_on(store, *folder_line(tmp_path / "photos", tmp_path))


# --- means and intervals -----------------------------------------------------------------------------------------


def test_the_interval_is_student_s_t_with_the_corrected_variance() -> None:
    values = [0.5, 0.625, 0.75, 0.625]
    found = folds.summarize_folds(values, 1 / 3)
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) * np.sqrt(1 / 4 + 1 / 3)
    assert found == pytest.approx((0.625, np.std(values, ddof=1), 0.625 - half, 0.625 + half))


def test_the_corrected_interval_is_wider_than_that_of_independent_values() -> None:
    values = [0.5, 0.625, 0.75, 0.625]
    found = folds.summarize_folds(values, 1 / 3)
    low, high = stats.t.interval(0.95, 3, loc=0.625, scale=stats.sem(values))
    assert found.low < low < high < found.high


def test_the_interval_of_a_share_of_images_is_cut_off_at_its_bounds() -> None:
    assert folds.summarize_folds([0.25, 0.75], 1.0, is_share=True)[2:] == (0.0, 1.0)
    low, high = folds.summarize_folds([0.25, 0.75], 1.0)[2:]
    assert low < 0 < 1 < high


@pytest.mark.parametrize(
    ("name", "is_share"),
    [("val_accuracy", True), ("test_macro_f1", True), ("val_auc", True), ("val_loss", False), ("test_brier", False)],
)
def test_shares_and_means_of_shares_are_from_0_to_1(name: str, is_share: bool) -> None:
    assert folds._is_share(name) is is_share


def test_equal_folds_have_an_interval_without_width() -> None:
    assert folds.summarize_folds([0.5, 0.5, 0.5], 0.5) == FoldSummary(0.5, 0.0, 0.5, 0.5)


def test_the_interval_covers_the_expected_metric_of_correlated_folds() -> None:
    """The corrected variance assumes the correlation of two folds to be the share of images in a fold, here 1 / 5."""
    random, runs, covered = np.random.default_rng(0), 2_000, 0
    for shared in random.normal(0, np.sqrt(1 / 5), runs):
        found = folds.summarize_folds(shared + random.normal(0, np.sqrt(4 / 5), 5), 1 / 4)
        covered += found.low <= 0 <= found.high
    assert 0.935 < covered / runs < 0.965


# --- what is shown -----------------------------------------------------------------------------------------------

SUMMARIES = {
    "val_accuracy": FoldSummary(0.625, 0.125, 0.5, 0.75),
    "val_loss": FoldSummary(1.5, 0.25, 1.25, 1.75),
    "test_accuracy": FoldSummary(0.5, 0.0, 0.5, 0.5),
    "test_loss": FoldSummary(1.25, 0.0, 1.25, 1.25),
}
RESULT = CrossValidationResult(
    run_id="parent",
    experiment_id="7",
    rows=[
        FoldRow(1, "a1", 3, 30, {"val_accuracy": 0.5, "val_loss": 1.25, "test_accuracy": 0.5, "test_loss": 1.25}),
        FoldRow(2, "b2", 2, 30, {"val_accuracy": 0.75, "val_loss": 1.75, "test_accuracy": 0.5, "test_loss": 1.25}),
    ],
    summaries=SUMMARIES,
    out_of_fold={"loss": 1.5, "accuracy": 0.625},
)


def test_the_table_has_a_line_for_each_fold_then_mean_spread_and_interval() -> None:
    title, columns, rows = folds.folds_table(configure(*SYNTHETIC, "folds=2"), RESULT)
    assert title == "lenot on synthetic, 2 folds"
    assert columns == ("fold", "best epoch", "val accuracy", "test accuracy")
    assert rows == [
        ("1", "3", "0.5000", "0.5000"),
        ("2", "2", "0.7500", "0.5000"),
        ("mean", "", "0.6250", "0.5000"),
        ("spread", "", "0.1250", "0.0000"),
        ("95 % low", "", "0.5000", "0.5000"),
        ("95 % high", "", "0.7500", "0.5000"),
    ]


def test_the_table_shows_the_monitor_s_metric_and_the_accuracy() -> None:
    _, columns, rows = folds.folds_table(configure(*SYNTHETIC, "folds=2", "training.monitor=val_loss"), RESULT)
    assert set(columns[2:]) == {"val loss", "val accuracy", "test loss", "test accuracy"}
    assert {len(row) for row in rows} == {6}


def test_the_description_begins_with_the_mean_links_to_the_folds_and_ends_with_the_warnings() -> None:
    config = configure(*SYNTHETIC, "folds=2")
    lines = folds.describe_cross_validation(config, RESULT, ["NOT the *full* MNIST"]).splitlines()
    assert lines[0] == "Mean val accuracy of 2 folds of synthetic: 0.6250, 95 % interval 0.5000 to 0.7500."
    pages = [f"#/experiments/7/runs/{run_id}?workflowType=machine_learning" for run_id in ("a1", "b2")]
    assert lines[4:6] == [
        f"| [1]({pages[0]}) | 3 | 0.5000 | 0.5000 |",
        f"| [2]({pages[1]}) | 2 | 0.7500 | 0.5000 |",
    ]
    assert lines[6] == "| mean |  | 0.6250 | 0.5000 |"
    assert "loss 1.5000, accuracy 0.6250" in lines[11]
    assert "Nadeau and Bengio (2003)" in lines[13]
    assert lines[-1] == "**NOT the &#42;full&#42; MNIST**"


def test_another_monitor_is_the_one_that_the_description_begins_with() -> None:
    config = configure(*SYNTHETIC, "folds=2", "training.monitor=val_loss")
    assert folds.describe_cross_validation(config, RESULT, []).startswith("Mean val loss of 2 folds of synthetic: 1.5")


def test_the_monitor_is_first_and_metrics_that_a_fold_does_not_have_are_not_summed_up() -> None:
    assert folds._names("val_loss", RESULT.rows) == ["val_loss", "val_accuracy", "test_loss", "test_accuracy"]
    result = replace(RESULT, rows=[*RESULT.rows, FoldRow(3, "c3", 1, 30, {"val_loss": 1.0, "val_accuracy": 0.5})])
    assert folds._names("val_accuracy", result.rows) == ["val_accuracy", "val_loss"]
