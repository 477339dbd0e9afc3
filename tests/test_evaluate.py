"""`python -m src.evaluate`: a tracked model scored again gives the metrics of its run, and other data is refused."""

import csv
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from sklearn.metrics import precision_recall_fscore_support

from src.cli.compose import compose_config
from src.datasets import Dataset, Split
from src.errors import ConfigError, DataError, ModelFileError, StoreError
from src.evaluate import evaluate
from src.fitting import Scores
from src.reports import temperature_of
from src.reports.evaluation import (
    absent_classes,
    class_scores,
    read_predictions,
    record_evaluation,
    unbalanced_classes,
    unrecognized_classes,
)
from src.results import EvaluationResult, format_calibration
from src.schema import TEST, metric_names
from src.tracking import open_store, resume_run, start_run
from src.train import train
from tests.support.workplace import RunHere, TrainedRun, Workplace, copy_of

LIGHT = "tracking.detail=light"  # what the training itself keeps of pictures and formats does not matter
QUICK = ["dataset=synthetic", "model=dense", "training.epochs=1", LIGHT]


def evaluate_run(workplace: Workplace, *overrides: str) -> EvaluationResult:
    return evaluate(compose_config([f"tracking.uri='{workplace.uri}'", "data_dir=null", *overrides], "evaluate"))


@pytest.fixture
def artifacts(trained: TrainedRun) -> Path:
    return trained.workplace.folder / "mlartifacts" / trained.run_id / "artifacts"


@pytest.fixture(scope="module")
def again(trained: TrainedRun) -> EvaluationResult:
    """The run scored again."""
    return evaluate_run(trained.workplace, f"run_id={trained.run_id}")


def test_a_run_scored_again_by_the_command_gives_the_same_metrics_and_no_second_point(
    trained: TrainedRun, run_here: RunHere
):
    client = MlflowClient(trained.workplace.uri)
    before = client.get_run(trained.run_id).data.metrics
    printed = run_here(trained.workplace, "src.evaluate", f"run_id={trained.run_id}")
    assert f"test_accuracy {before['test_accuracy']:.4f} (" in printed
    assert "scored on 1,000 test images" in printed
    assert client.get_run(trained.run_id).data.metrics == before
    assert len(client.get_metric_history(trained.run_id, "test_accuracy")) == 1


def test_a_model_uri_leads_to_the_same_run(trained: TrainedRun):
    client = MlflowClient(trained.workplace.uri)
    (logged,) = client.get_run(trained.run_id).outputs.model_outputs
    result = evaluate_run(trained.workplace, f"model_uri='models:/{logged.model_id}'")
    assert result.run_id == trained.run_id
    assert result.metrics["test_accuracy"] == client.get_run(trained.run_id).data.metrics["test_accuracy"]


def test_an_alias_of_a_registered_model_leads_to_its_run(trained: TrainedRun):
    client = MlflowClient(trained.workplace.uri)
    (logged,) = client.get_run(trained.run_id).outputs.model_outputs
    client.create_registered_model("aliased")
    source = f"models:/{logged.model_id}"
    version = client.create_model_version("aliased", source, run_id=trained.run_id, model_id=logged.model_id)
    client.set_registered_model_alias("aliased", "champion", version.version)
    assert evaluate_run(trained.workplace, "model_uri='models:/aliased@champion'").run_id == trained.run_id


def test_metrics_pictures_and_tables_are_added_to_a_run_that_was_not_tested(workplace: Workplace):
    run_id = train(compose_config([*QUICK, "evaluate_test=false", f"tracking.uri='{workplace.uri}'"])).run_id
    client = MlflowClient(workplace.uri)
    assert "test_accuracy" not in client.get_run(str(run_id)).data.metrics
    result = evaluate_run(workplace, f"run_id={run_id}")
    assert client.get_run(str(run_id)).data.metrics["test_accuracy"] == result.metrics["test_accuracy"]
    assert "figures/confusion_matrix.png" in {item.path for item in client.list_artifacts(str(run_id), "figures")}


def test_a_light_run_that_is_scored_has_the_tables_and_no_pictures(workplace: Workplace):
    run_id = train(compose_config([*QUICK, f"tracking.uri='{workplace.uri}'"])).run_id
    client = MlflowClient(workplace.uri)
    assert "tables/per_class.csv" in {item.path for item in client.list_artifacts(str(run_id), "tables")}
    assert client.list_artifacts(str(run_id), "figures") == []


def test_test_time_augmentation_has_metrics_of_its_own_and_changes_no_other(workplace: Workplace):
    run_id = train(compose_config([*QUICK, f"tracking.uri='{workplace.uri}'"])).run_id
    client = MlflowClient(workplace.uri)
    before = client.get_run(str(run_id)).data.metrics
    result = evaluate_run(workplace, f"run_id={run_id}", "tta=true")
    after = client.get_run(str(run_id)).data.metrics
    assert set(after) - set(before) == {"tta_test_loss", "tta_test_accuracy"} == set(result.averaged)
    assert {name: after[name] for name in before} == before
    assert result.averaged["tta_test_loss"] != result.metrics["test_loss"]
    assert evaluate_run(workplace, f"run_id={run_id}").averaged == {}


def test_the_tables_agree_with_each_other_and_with_the_metrics(trained: TrainedRun, artifacts: Path):
    with (artifacts / "tables/test_predictions.csv").open() as file:
        predictions = list(csv.DictReader(file))
    with (artifacts / "tables/per_class.csv").open() as file:
        classes = list(csv.DictReader(file))
    right = [row for row in predictions if row["label"] == row["predicted"]]
    metrics = MlflowClient(trained.workplace.uri).get_run(trained.run_id).data.metrics
    assert len(right) / len(predictions) == pytest.approx(metrics["test_accuracy"])
    assert [int(row["images"]) for row in classes] == [100] * 10
    recalled = sum(float(row["recall"]) * int(row["images"]) for row in classes)
    assert recalled == pytest.approx(len(right), abs=0.5)
    assert all(float(row["label_score"]) <= float(row["score"]) for row in predictions)


def test_the_table_of_predictions_names_classes_and_leaves_missing_files_empty(artifacts: Path):
    with (artifacts / "tables/test_predictions.csv").open() as file:
        predictions = list(csv.DictReader(file))
    assert list(predictions[0]) == [
        "index", "file", "label", "class", "predicted", "predicted_class", "score", "label_score",
    ]  # fmt: skip
    assert {row["file"] for row in predictions} == {""}
    assert all((row["class"], row["predicted_class"]) == (row["label"], row["predicted"]) for row in predictions)


# --- the table of predictions --------------------------------------------------------------------------------------

NAMES = ["a,b", 'say "x"', "two\nlines", "return\rhere", "both\r\n"]


def data_of(labels: list[int], class_names: list[str] = NAMES) -> Dataset:
    """A data set with these test images, one file each; they are also what is trained on."""
    split = Split(np.zeros((len(labels), 4, 4, 1), np.uint8), np.array(labels, np.uint8))
    files = [f"{class_names[label]}/{index}.png" for index, label in enumerate(labels)]
    return Dataset(
        name="given",
        train=split,
        validation=None,
        test=split,
        input_shape=(4, 4, 1),
        class_names=class_names,
        digest="0" * 64,
        source="folder",
        test_files=files,
    )


def scores_of(predicted: list[int], classes: int = 5) -> Scores:
    """Scores of a model that is rather sure of these predictions."""
    probabilities = np.full((len(predicted), classes), 0.125, np.float32)
    probabilities[np.arange(len(predicted)), predicted] = 0.5
    return Scores({"loss": 1.0, "accuracy": 0.5}, probabilities)


def test_predictions_are_read_back_with_any_characters_in_class_and_file_names(workplace: Workplace, tmp_path: Path):
    config = compose_config([f"tracking.uri='{workplace.uri}'"])
    dataset = data_of([0, 1, 2, 3, 4])
    with start_run(open_store(config.tracking), config) as run:
        record_evaluation(run, dataset, scores_of([4, 3, 2, 1, 0]), step=1)
    with resume_run(config.tracking, run_id=run.run_id) as scored:
        read = read_predictions(scored)
        with scored.reading("tables/test_predictions.csv") as table, table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    assert read is not None
    assert (read.labels.tolist(), read.predicted.tolist()) == ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])
    assert read.scores.tolist() == [0.5] * 5
    assert [row["file"] for row in rows] == dataset.test_files
    assert [row["class"] for row in rows] == [row["predicted_class"] for row in rows[::-1]] == NAMES


@pytest.mark.parametrize(
    "table",
    [b"", b"index,fi", b"\xff\xfe", b"label,predicted,score\n1,2", b"label,predicted,score\n1,2,x\n", b'"'],
    ids=repr,
)
def test_a_damaged_table_of_predictions_is_named_with_the_command_that_makes_it_again(
    workplace: Workplace, table: bytes
):
    config = compose_config([f"tracking.uri='{workplace.uri}'", "tracking.detail=light"])
    with start_run(open_store(config.tracking), config) as run:
        run.log_text("tables/test_predictions.csv", "")
        with run.reading("tables/test_predictions.csv") as file:
            file.write_bytes(table)
    with resume_run(config.tracking, run_id=run.run_id) as scored, pytest.raises(StoreError) as caught:
        read_predictions(scored)
    assert f"run {run.run_id}: tables/test_predictions.csv is damaged" in str(caught.value)
    assert str(caught.value).endswith(f"create it again with python -m src.evaluate run_id={run.run_id}")


@pytest.mark.parametrize(
    ("table", "labels"),
    [
        (
            "index,label,predicted,score,label_score\n0,3,4,0.5,0.25\n1,2,2,1.0,1.0\n",
            [3, 2],
        ),  # as the first versions wrote it
        ("score,other,label,predicted\n0.5,,3,4\n", [3]),
        ("index,label,predicted,score,label_score\n", []),
    ],
)
def test_a_table_of_predictions_is_read_by_the_names_of_its_columns(
    workplace: Workplace, table: str, labels: list[int]
):
    config = compose_config([f"tracking.uri='{workplace.uri}'"])
    with start_run(open_store(config.tracking), config) as run:
        run.log_page("tables/test_predictions.csv", table)
    with resume_run(config.tracking, run_id=run.run_id) as scored:
        read = read_predictions(scored)
    assert read is not None
    assert read.labels.tolist() == labels
    assert len(read.predicted) == len(read.scores) == len(labels)


# --- classes that are never recognized -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "predicted", "said"),
    [
        ([0, 1, 2], [0, 1, 2], None),
        ([0, 0, 1], [0, 1, 1], None),  # classes 2 to 4 have no test images
        (
            [0, 1, 2],
            [1, 2, 2],
            r"^recall is 0 for 2 of 5 classes \(.*\): 'a,b' \(never predicted\), 'say \"x\"'\. See",
        ),
        ([2, 2, 0], [0, 0, 0], r"^recall is 0 for 1 of 5 classes \(.*\): 'two\\nlines' \(never predicted\)\. See"),
    ],
)
def test_classes_of_which_no_test_image_is_recognized_are_named(
    labels: list[int], predicted: list[int], said: str | None
):
    found = unrecognized_classes(data_of(labels), scores_of(predicted))
    assert len(found) == (said is not None)
    assert said is None or re.search(said, found[0])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_scores_of_a_class_are_those_of_scikit_learn(pairs: list[tuple[int, int]]):
    labels, predicted = (list(each) for each in zip(*pairs, strict=True))
    found = class_scores(data_of(labels), scores_of(predicted))
    expected = precision_recall_fscore_support(labels, predicted, labels=range(5), zero_division=0.0)
    for place, (name, *values) in enumerate(found):
        assert name == data_of(labels).class_names[place]
        assert values == pytest.approx([float(each[place]) for each in expected])


def test_of_many_such_classes_the_first_few_are_named_and_all_are_counted():
    names = [f"c{at}" for at in range(26)]
    (warning,) = unrecognized_classes(data_of(list(range(26)), names), scores_of([0] * 26, classes=26))
    assert warning.startswith("recall is 0 for 25 of 26 classes")
    assert "'c5' (never predicted) and 20 more. See tables/per_class.csv of the run" in warning
    assert "'c6'" not in warning


def splits_of(validation: list[int] | None, test: list[int]) -> Dataset:
    data = data_of(test)
    images = np.zeros((len(validation or []), 4, 4, 1), np.uint8)
    return replace(data, validation=None if validation is None else Split(images, np.array(validation, np.uint8)))


@pytest.mark.parametrize(
    ("validation", "test", "metrics", "sentence"),
    [
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], ["macro_f1"], None),
        ([0, 1], [0, 1], ["loss", "accuracy", "brier"], None),
        ([0, 1, 2, 3, 4], [0, 1, 2], ["auc"], r"^the test split has no images of '.*', '.*': auc do(es)? not"),
        ([0], [0, 1, 2, 3], ["macro_f1", "auc"], r"^the validation split has .*; the test split has .*: macro_f1, auc"),
        (None, [0, 1, 2, 3, 4], ["macro_f1"], None),
    ],
)
def test_classes_without_images_are_named_once_if_a_metric_is_a_mean_of_classes(
    validation: list[int] | None, test: list[int], metrics: list[str], sentence: str | None
):
    found = absent_classes(splits_of(validation, test), metrics, ["validation", "test"])
    assert len(found) == (sentence is not None)
    assert sentence is None or re.search(sentence, found[0])


def test_of_many_classes_without_images_the_first_few_are_named():
    names = [f"c{at}" for at in range(26)]
    (warning,) = absent_classes(data_of([0], names), ["macro_f1"], ["test"])
    assert warning.startswith("the test split has no images of 'c1', 'c2', 'c3', 'c4', 'c5' and 20 more: macro_f1")


@pytest.mark.parametrize(
    ("counts", "typed", "remedies"),
    [
        ((10, 30), [], ["class_weights=balanced", "val_macro_f1"]),
        ((10, 29), [], None),
        ((0, 5), ["training.monitor=val_loss"], ["class_weights=balanced"]),
        ((10, 30), ["augmentation.mixup=0.2"], ["val_macro_f1"]),
        ((10, 30), ["training.class_weights=balanced"], None),
        ((10, 30), ["dataset=mnist"], None),
    ],
)
def test_own_data_with_three_times_as_many_images_of_a_class_has_a_warning_with_what_helps(
    counts: tuple[int, int], typed: list[str], remedies: list[str] | None
):
    labels = np.repeat([0, 1], counts).astype(np.uint8)
    data = replace(data_of([0, 1], ["cat", "dog"]), train=Split(np.zeros((len(labels), 4, 4, 1), np.uint8), labels))
    found = unbalanced_classes(data, compose_config(["dataset=image_folder", *typed]))
    assert len(found) == (remedies is not None)
    if remedies is not None:
        assert found[0].startswith("class 'dog' has ")
        assert re.findall(r"class_weights=balanced|val_macro_f1", found[0]) == remedies


def test_further_metrics_are_computed_for_a_run_that_did_not_record_them(trained: TrainedRun, tmp_path: Path):
    workplace = copy_of(trained.workplace, tmp_path / "copied")
    result = evaluate_run(workplace, f"run_id={trained.run_id}", "metrics=[macro_f1,brier]")
    recorded = MlflowClient(workplace.uri).get_run(trained.run_id).data.metrics
    assert {"test_loss", "test_accuracy", "test_macro_f1", "test_brier"} <= result.metrics.keys()
    assert {name: recorded[name] for name in result.metrics} == pytest.approx(result.metrics, rel=1e-6)
    mean = np.mean([found.f1 for found in result.classes])
    assert result.metrics["test_macro_f1"] == pytest.approx(mean)
    assert evaluate_run(workplace, f"run_id={trained.run_id}").metrics == result.metrics


@pytest.mark.parametrize("typed", ["[]", "[macro_f2]"])
def test_a_metric_that_does_not_exist_is_refused(typed: str):
    with pytest.raises(ConfigError, match=r"^metrics: got .*one of loss, accuracy"):
        compose_config(["run_id=7", f"metrics={typed}"], "evaluate")


def test_other_data_than_the_model_was_trained_on_is_refused(workplace: Workplace):
    config = compose_config(["dataset=synthetic", f"tracking.uri='{workplace.uri}'"])
    with start_run(open_store(config.tracking), config) as run:
        run.log_params({"resolved.data_source": "synthetic", "resolved.data_digest": "0" * 64})
        with run.new_folder("model") as folder:
            folder.mkdir()
            (folder / "model.keras").touch()
            (folder / "manifest.json").write_text(json.dumps({"model.keras": hashlib.sha256().hexdigest()}))
    with pytest.raises(DataError, match=r"is not what run .* was trained on \(synthetic, digest 000000000000\)"):
        evaluate_run(workplace, f"run_id={run.run_id}")


def test_a_run_on_the_sample_is_scored_on_the_sample_where_the_full_set_is_found(trained: TrainedRun, full_data: str):
    result = evaluate_run(trained.workplace, f"run_id={trained.run_id}", f"data_dir='{full_data}'")
    assert result.images == 1_000


def test_a_quick_check_is_scored_on_the_images_that_it_saw(workplace: Workplace):
    overrides = [*QUICK, "training.max_batches=1", "training.batch_size=32"]
    trained = train(compose_config([*overrides, f"tracking.uri='{workplace.uri}'"]))
    result = evaluate_run(workplace, f"run_id={trained.run_id}")
    assert (result.images, result.metrics["test_loss"]) == (32, trained.metrics["test_loss"])


def test_a_model_file_that_was_altered_is_refused(trained: TrainedRun, tmp_path: Path):
    workplace = copy_of(trained.workplace, tmp_path / "copied")
    file = workplace.folder / "mlartifacts" / trained.run_id / "artifacts/model/model.keras"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model.keras missing, added or changed"):
        evaluate_run(workplace, f"run_id={trained.run_id}")


@pytest.mark.parametrize("name", ["run_id=0123456789abcdef", "model_uri='models:/nobody@champion'"])
def test_a_run_or_model_that_does_not_exist_is_named(trained: TrainedRun, name: str):
    with pytest.raises(StoreError, match=r"has no (0123456789abcdef|models:/nobody@champion)"):
        evaluate_run(trained.workplace, name)


# --- how certain the scores are ------------------------------------------------------------------------------------


def test_the_intervals_of_all_test_metrics_are_in_the_description_the_table_and_the_result(
    trained: TrainedRun, artifacts: Path, again: EvaluationResult
):
    run = MlflowClient(trained.workplace.uri).get_run(trained.run_id)
    note = run.data.tags["mlflow.note.content"]
    with (artifacts / "tables/test_metrics.csv").open() as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert rows.keys() == again.metrics.keys() == again.intervals.keys()
    for name, (low, high) in again.intervals.items():
        value = again.metrics[name]
        assert low < value < high
        assert [float(rows[name][column]) for column in ("value", "low", "high")] == [value, low, high]
        if name in ("test_loss", "test_accuracy"):  # other tests may have added metrics to this run
            assert f"{name} {value:.4f} ({low:.4f}-{high:.4f})" in note
            assert f"{name} {value:.4f} ({low:.4f}-{high:.4f})" in trained.done.stdout


def test_the_intervals_add_no_metrics_to_the_run(trained: TrainedRun):
    names = MlflowClient(trained.workplace.uri).get_run(trained.run_id).data.metrics
    assert {name for name in names if name.startswith(TEST)} <= set(metric_names(TEST))


def test_the_calibration_is_in_the_terminal_the_description_the_tables_and_the_pictures(
    trained: TrainedRun, artifacts: Path, again: EvaluationResult
):
    calibration = again.calibration
    assert calibration is not None
    assert calibration.temperature is not None
    line = format_calibration(calibration)
    assert line in trained.done.stdout
    run = MlflowClient(trained.workplace.uri).get_run(trained.run_id)
    assert f"- {line}" in run.data.tags["mlflow.note.content"]
    with (artifacts / "tables/calibration.csv").open() as file:
        rows = list(csv.DictReader(file))
    for temperature, error in ((1.0, calibration.error), (calibration.temperature, calibration.calibrated_error)):
        bins = [row for row in rows if float(row["temperature"]) == temperature]
        assert sum(int(row["images"]) for row in bins) == 1_000
        gaps = [int(row["images"]) * abs(float(row["confidence"]) - float(row["accuracy"])) for row in bins]
        assert sum(gaps) / 1_000 == pytest.approx(error)
    assert {"reliability.png", "class_curves.png"} <= {file.name for file in (artifacts / "figures").iterdir()}


def test_a_run_without_a_validation_split_has_no_temperature_and_says_so(workplace: Workplace):
    trained = train(compose_config([*QUICK, "dataset.validation_size=0", f"tracking.uri='{workplace.uri}'"]))
    assert trained.calibration is not None
    assert trained.calibration.temperature is None
    with (
        resume_run(compose_config([f"tracking.uri='{workplace.uri}'"]).tracking, run_id=trained.run_id) as run,
        pytest.raises(StoreError, match=r"was trained without a validation split, so it has no temperature; remove"),
    ):
        temperature_of(run, has_validation=False)
