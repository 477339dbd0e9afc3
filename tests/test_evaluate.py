"""`python -m src.evaluate`: a tracked model scored again gives what the run says, and nothing else is taken for it."""

import csv
from pathlib import Path

import pytest
from mlflow import MlflowClient

from src.compose import compose_config
from src.errors import DataError, ModelFileError, StoreError
from src.evaluate import evaluate
from src.tracking import open_store, start_run
from src.train import train
from tests.conftest import TrainedRun, Workplace


def evaluate_run(workplace: Workplace, *overrides: str):
    return evaluate(compose_config([f"tracking.uri='{workplace.uri}'", "data_dir=null", *overrides], "evaluate"))


@pytest.fixture
def artifacts(trained: TrainedRun) -> Path:
    return trained.workplace.folder / "mlartifacts" / trained.run_id / "artifacts"


def test_a_run_scored_again_by_the_command_gives_the_same_metrics_and_no_second_point(trained: TrainedRun):
    client = MlflowClient(trained.workplace.uri)
    before = client.get_run(trained.run_id).data.metrics
    done = trained.workplace.run("src.evaluate", f"run_id={trained.run_id}")
    assert done.returncode == 0, done.stderr
    assert f"test_accuracy {before['test_accuracy']:.4f}  on 1,000 test images" in done.stdout
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
    overrides = ["dataset=synthetic", "training.epochs=1", "evaluate_test=false"]
    run_id = train(compose_config([*overrides, f"tracking.uri='{workplace.uri}'"])).run_id
    client = MlflowClient(workplace.uri)
    assert "test_accuracy" not in client.get_run(str(run_id)).data.metrics
    result = evaluate_run(workplace, f"run_id={run_id}")
    assert client.get_run(str(run_id)).data.metrics["test_accuracy"] == result.metrics["test_accuracy"]
    assert "figures/confusion_matrix.png" in {item.path for item in client.list_artifacts(str(run_id), "figures")}


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


def test_other_data_than_the_model_was_trained_on_is_refused(workplace: Workplace):
    config = compose_config(["dataset=synthetic", f"tracking.uri='{workplace.uri}'"])
    with start_run(open_store(config.tracking), config) as run:
        run.log_params({"resolved.data_source": "synthetic", "resolved.data_digest": "0" * 64})
    with pytest.raises(DataError, match=r"is not what run .* was trained on \(synthetic, digest 000000000000\)"):
        evaluate_run(workplace, f"run_id={run.run_id}")


def test_a_run_on_the_sample_is_scored_on_the_sample_where_the_full_set_is_found(trained: TrainedRun, full_data: str):
    result = evaluate_run(trained.workplace, f"run_id={trained.run_id}", f"data_dir='{full_data}'")
    assert result.images == 1_000


def test_a_quick_check_is_scored_on_the_images_that_it_saw(workplace: Workplace):
    overrides = ["dataset=synthetic", "training.epochs=1", "training.max_batches=1", "training.batch_size=32"]
    trained = train(compose_config([*overrides, f"tracking.uri='{workplace.uri}'"]))
    result = evaluate_run(workplace, f"run_id={trained.run_id}")
    assert (result.images, result.metrics["test_loss"]) == (32, trained.metrics["test_loss"])


def test_a_model_file_that_was_altered_is_refused(workplace: Workplace):
    overrides = ["dataset=synthetic", "training.epochs=1", f"tracking.uri='{workplace.uri}'"]
    run_id = train(compose_config(overrides)).run_id
    file = workplace.folder / "mlartifacts" / str(run_id) / "artifacts/model/model.keras"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model.keras missing, added or changed"):
        evaluate_run(workplace, f"run_id={run_id}")


@pytest.mark.parametrize("name", ["run_id=0123456789abcdef", "model_uri='models:/nobody@champion'"])
def test_a_run_or_model_that_does_not_exist_is_named(trained: TrainedRun, name: str):
    with pytest.raises(StoreError, match=r"has no (0123456789abcdef|models:/nobody@champion)"):
        evaluate_run(trained.workplace, name)
