"""`python -m src.train` as users run it: real commands, real data, a real store."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.models import Model
from PIL import Image, ImageDraw, ImageFont

from src import reports, saving
from src.cli.compose import CONF, compose_config
from src.datasets import load_dataset
from src.errors import ModelFileError, TrainingDiverged
from src.fitting.dividing import MAX_PARTS
from src.process.machine import cores
from src.results import TrainResult
from src.saving import load_model
from src.train import prepare_model, train
from tests.support.gpus import MODEL, install_nvidia_smi, listing
from tests.support.workplace import ROOT, RunHere, TrainedRun, Workplace

SMALL = ("dataset=synthetic", "model=dense", "training.epochs=2")


@pytest.fixture
def client(trained: TrainedRun) -> MlflowClient:
    return MlflowClient(trained.workplace.uri)


def train_tracked(workplace: Workplace, *overrides: str, **arguments: Any) -> TrainResult:
    return train(compose_config([*SMALL, f"tracking.uri='{workplace.uri}'", *overrides]), **arguments)


def train_untracked(*overrides: str) -> TrainResult:
    return train(compose_config([*SMALL, "tracking=off", *overrides]))


def last_run(workplace: Workplace):
    client = MlflowClient(workplace.uri)
    experiment = client.get_experiment_by_name("convlab")
    assert experiment is not None
    return client.search_runs([experiment.experiment_id])[0]


# --- what a run leaves behind ------------------------------------------------------------------------------------


def test_the_terminal_and_the_description_warn_of_stand_in_data(trained: TrainedRun, client: MlflowClient):
    assert trained.done.stdout.count("NOT the full MNIST") == 1
    assert "NOT the full MNIST" in trained.done.stdout.partition("epoch 1/2")[0]  # before the training
    run = client.get_run(trained.run_id)
    assert "NOT the full MNIST" in run.data.tags["mlflow.note.content"]
    assert run.data.params["resolved.data_source"] == "sample"


def test_the_terminal_gets_the_settings_a_plain_line_for_each_epoch_and_where_to_look_next(trained: TrainedRun):
    lines = trained.done.stdout.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("network "))
    assert lines[first : first + 2] == [
        "network       lenot, 61,706 parameters",
        "data          mnist (sample): 3,500 train, 500 validation, 1,000 test images",
    ]
    names = ["network", "data", "augmentation", "optimizer", "schedule", "training", "precision", "device"]
    assert [line.split()[0] for line in lines[first : first + 9]] == [*names, "epoch"]
    assert sum(line.startswith("epoch ") for line in lines) == 2
    assert "\x1b" not in trained.done.stdout
    assert trained.run_id in lines[-1]
    assert f"make -C {ROOT} ui URI={trained.workplace.uri}" in lines[-1]
    assert trained.done.stderr == ""


@pytest.mark.services
def test_a_training_names_the_gpu_that_it_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_nvidia_smi(tmp_path / "bin", listing(1), monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    done = Workplace(tmp_path).run("src.train", "dataset=synthetic", "training.epochs=1", "tracking=off")
    assert done.returncode == 0, done.stderr
    assert MODEL in done.stdout
    assert "make setup GPU=1" in done.stdout


def test_the_params_hold_the_resolved_config(trained: TrainedRun, client: MlflowClient):
    params = client.get_run(trained.run_id).data.params
    assert params["model.conv.0.filters"] == "6"
    assert params["model.dense"] == "[120, 84]"
    assert params["optimizer.learning_rate"] == "0.001"
    assert params["dataset.validation_size"] == "null"
    assert params["training.epochs"] == "2"
    assert params["resolved.parameters"] == "61706"
    assert params["resolved.devices"].startswith("CPU: ")
    assert params["resolved.steps_per_execution"] == "32"
    assert params["resolved.train_images"] == "3500"


def test_a_command_divides_the_batches_of_a_small_network_among_few_cores(trained: TrainedRun, client: MlflowClient):
    parts = client.get_run(trained.run_id).data.params["resolved.parts"]
    assert int(parts) == (cores() if cores() <= MAX_PARTS else 1)


def test_every_metric_of_training_has_one_point_per_epoch(trained: TrainedRun, client: MlflowClient):
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds", "images_per_second"):
        assert [point.step for point in client.get_metric_history(trained.run_id, name)] == [1, 2], name


def test_the_values_of_the_best_epoch_are_metrics_of_the_run_and_of_its_model(
    trained: TrainedRun, client: MlflowClient
):
    run = client.get_run(trained.run_id)
    best = int(run.data.params["resolved.best_epoch"])
    for name in ("val_accuracy", "val_loss"):
        of_best = next(point for point in client.get_metric_history(trained.run_id, name) if point.step == best)
        (point,) = client.get_metric_history(trained.run_id, f"best_{name}")
        assert (point.value, point.step) == (of_best.value, best)
    assert run.data.metrics["best_epoch"] == best
    logged = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    kept = {metric.key: metric.value for metric in logged.metrics}
    for name in ("best_val_accuracy", "best_val_loss", "best_epoch"):
        assert kept[name] == run.data.metrics[name]


def test_terminal_description_and_metrics_agree_on_the_best_epoch(workplace: Workplace, run_here: RunHere):
    line = [*SMALL, "training.epochs=4", "optimizer.learning_rate=0.05", "tracking.detail=light", "evaluate_test=false"]
    printed = run_here(workplace, "src.train", *line)
    run = last_run(workplace)
    best, value = int(run.data.metrics["best_epoch"]), f"{run.data.metrics['best_val_accuracy']:.4f}"
    assert f"best epoch {best}  val_accuracy {value}" in printed
    note = run.data.tags["mlflow.note.content"]
    accuracy = MlflowClient(workplace.uri).get_metric_history(run.info.run_id, "accuracy")[best - 1].value
    assert (
        note.splitlines()[0] == f"**val accuracy {value}, training accuracy {accuracy:.4f}** at best epoch {best} of 4"
    )


def test_the_test_split_is_scored_once(trained: TrainedRun, client: MlflowClient):
    for name in ("test_loss", "test_accuracy"):
        assert len(client.get_metric_history(trained.run_id, name)) == 1


def test_the_data_set_is_an_input_with_its_digest(trained: TrainedRun, client: MlflowClient):
    run = client.get_run(trained.run_id)
    (dataset,) = [item.dataset for item in run.inputs.dataset_inputs]
    digest = run.data.params["resolved.data_digest"]
    assert dataset.name == "mnist"
    assert len(digest) == 64
    assert digest.startswith(dataset.digest)
    assert json.loads(dataset.profile)["sha256"] == digest


def test_the_tags_say_what_ran_and_from_which_commit(trained: TrainedRun, client: MlflowClient):
    tags = client.get_run(trained.run_id).data.tags
    assert (tags["model"], tags["dataset"]) == ("lenot", "mnist")
    assert len(tags["mlflow.source.git.commit"]) == 40
    assert tags["git_dirty"] in ("true", "false")
    assert tags["host"]


def test_the_run_and_its_experiment_are_named_for_people(trained: TrainedRun, client: MlflowClient):
    run = client.get_run(trained.run_id)
    experiment = client.get_experiment(run.info.experiment_id)
    assert run.info.run_name == "lenot-mnist-s1"
    assert experiment.name == "convlab"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_the_run_is_finished_and_keeps_its_files(trained: TrainedRun, client: MlflowClient):
    assert client.get_run(trained.run_id).info.status == "FINISHED"
    kept = {
        folder: {Path(item.path).name for item in client.list_artifacts(trained.run_id, folder)}
        for folder in ("config", "environment", "figures", "tables", "model")
    }
    assert kept["config"] == {"config.yaml", "overrides.yaml"}
    assert "packages.txt" in kept["environment"]
    assert kept["figures"] == {
        "class_curves.png",
        "confusion_matrix.png",
        "feature_maps",
        "filters.png",
        "grad_cam.png",
        "learning_curves.png",
        "reliability.png",
        "samples.png",
        "worst_mistakes.png",
    }
    assert kept["tables"] == {
        "calibration.csv",
        "classes.csv",
        "layers.csv",
        "per_class.csv",
        "test_metrics.csv",
        "test_predictions.csv",
        "test_probabilities.npy",
    }
    assert kept["model"] == {"manifest.json", "model.h5", "model.keras", "saved_model"}


def test_a_secret_is_in_no_output_of_a_run(trained: TrainedRun):
    places = [trained.workplace.folder, *(path for path in trained.workplace.folder.rglob("*") if path.is_file())]
    contents = {path: path.read_bytes() for path in places[1:]} | {
        Path("stdout"): trained.done.stdout.encode(),
        Path("stderr"): trained.done.stderr.encode(),
    }
    for secret in (b"swordfish-77", b"tok-5150"):
        assert not [path for path, content in contents.items() if secret in content]
    assert MlflowClient(trained.workplace.uri).get_run(trained.run_id).data.tags["api_token"] == "***"


def test_nothing_else_is_written_next_to_the_store(trained: TrainedRun):
    names = {path.name for path in trained.workplace.folder.iterdir()}
    assert names <= {"mlflow.db", ".mlflow.db.lock", "mlartifacts", ".keras", ".config", ".cache"}


# --- how a run ends ----------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize(
    ("signum", "code"), [pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow), (signal.SIGINT, 130)]
)
def test_a_signal_ends_the_run_as_killed_and_keeps_the_last_epoch(workplace: Workplace, signum: int, code: int):
    process = workplace.start("src.train", "dataset.source=sample", "training.epochs=500")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch   2/500"):
            break
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    run = last_run(workplace)
    assert run.info.status == "KILLED"
    kept = [path for path in (workplace.folder / "mlartifacts").rglob("model/*") if path.is_file()]
    assert {path.name for path in kept} == {"model.keras", "manifest.json"}

    continued = workplace.run(
        "src.train", "dataset.source=sample", "training.epochs=1", f"training.initial_weights={run.info.run_id}"
    )
    assert continued.returncode == 0, continued.stderr
    first_loss = float(continued.stdout.partition("epoch 1/1  loss ")[2].split()[0])
    assert first_loss < 1.0  # fresh weights begin at 2.3 and end their first epoch at 1.4


@pytest.mark.fault
def test_the_run_of_a_killed_training_becomes_killed_when_the_next_one_begins(workplace: Workplace):
    process = workplace.start("src.train", "dataset.source=sample", "training.epochs=500")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch   1/500"):
            break
    process.kill()
    process.communicate()
    killed = last_run(workplace)
    assert killed.info.status == "RUNNING"
    done = workplace.run("src.train", "dataset.source=sample", "training.epochs=1")
    assert done.returncode == 0, done.stderr
    assert MlflowClient(workplace.uri).get_run(killed.info.run_id).info.status == "KILLED"


def test_a_diverged_run_is_failed_and_says_what_to_try(workplace: Workplace):
    with pytest.raises(TrainingDiverged, match=r"became nan in epoch 1 .* try optimizer.learning_rate=0.001"):
        train_tracked(workplace, "optimizer.learning_rate=1e20", "tracking.detail=light")
    run = last_run(workplace)
    assert run.info.status == "FAILED"
    assert "TrainingDiverged" in run.data.tags["error"]


def test_a_bug_is_not_hidden_and_fails_the_run(workplace: Workplace):
    def broken(epoch: int, logs: dict[str, float]) -> None:
        raise RuntimeError("a bug in an observer")

    with pytest.raises(RuntimeError, match="a bug in an observer"):
        train_tracked(workplace, "tracking.detail=light", observers=[broken])
    assert last_run(workplace).info.status == "FAILED"


# --- as a function -----------------------------------------------------------------------------------------------


def test_as_a_function_it_returns_the_result():
    result = train_untracked()
    assert result.run_id is None
    assert result.best_epoch in (1, 2)
    assert len(result.history["val_accuracy"]) == 2
    assert result.metrics["val_accuracy"] == max(result.history["val_accuracy"])
    assert 0 <= result.metrics["test_accuracy"] <= 1


def test_without_evaluate_test_the_test_split_is_not_touched():
    assert not [name for name in train_untracked("evaluate_test=false").metrics if name.startswith("test_")]


def test_without_tracking_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    train_untracked()
    assert not list(tmp_path.iterdir())


@pytest.mark.services
@pytest.mark.parametrize("first", ["", "import tensorflow; "])
@pytest.mark.skipif(not 1 < cores() <= MAX_PARTS, reason="batches are divided among 2 to 4 cores")
def test_from_python_batches_are_divided_as_by_the_command_unless_tensorflow_was_imported(
    first: str, workplace: Workplace
):
    script = (
        f"{first}from src.cli.compose import compose_config; from src.train import train\n"
        "train(compose_config(['dataset=synthetic', 'dataset.limit=100', 'training.epochs=1', 'tracking=off']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=workplace.environment(), capture_output=True, text=True, check=True
    )
    (device,) = [line for line in done.stdout.splitlines() if line.startswith("device ")]
    reason = "; batches are not divided among them (TensorFlow was imported before the training)"
    assert device.endswith(reason if first else f", each batch in {cores()} parts")


@pytest.mark.services
def test_a_deterministic_run_repeats_itself_bit_for_bit(workplace: Workplace):
    script = (
        "from src.cli.compose import compose_config; from src.train import train; import json\n"
        f"config = compose_config({[*SMALL, 'model=lenot', 'tracking=off', 'training.deterministic=true']!r})\n"
        "for _ in range(2): print(json.dumps(train(config).metrics))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=workplace.environment(), capture_output=True, text=True, check=True
    )
    first, second = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    for name in first:
        assert name in ("epoch_seconds", "images_per_second") or first[name] == second[name]


def test_without_validation_the_last_epoch_is_kept():
    result = train_untracked("dataset.validation_size=0", "training.epochs=3")
    assert result.best_epoch == 3
    assert not [name for name in result.history if name.startswith("val_")]


def test_without_validation_the_only_best_metric_of_a_run_is_the_epoch(workplace: Workplace):
    train_tracked(workplace, "dataset.validation_size=0", "tracking.detail=light")
    metrics = last_run(workplace).data.metrics
    assert {name: value for name, value in metrics.items() if name.startswith("best_")} == {"best_epoch": 2.0}


CHOSEN = [*SMALL, "training.monitor=val_macro_f1", "training.metrics=[auc,brier]", "tracking.detail=light"]


def test_chosen_metrics_and_that_of_the_monitor_are_recorded_for_validation_and_test_split(
    workplace: Workplace, run_here: RunHere
):
    printed = run_here(workplace, "src.train", *CHOSEN, "training.epochs=2")
    run = last_run(workplace)
    names = {"loss", "accuracy", "macro_f1", "auc", "brier"}
    for prefix in ("val_", "test_", "best_val_"):
        found = {name.removeprefix(prefix) for name in run.data.metrics if name.startswith(prefix)}
        assert found == names, prefix
    client = MlflowClient(workplace.uri)
    values = [point.value for point in client.get_metric_history(run.info.run_id, "val_macro_f1")]
    assert run.data.metrics["best_val_macro_f1"] == max(values)
    assert f"best epoch {values.index(max(values)) + 1}  val_macro_f1 {max(values):.4f}\ntest_loss " in printed
    assert run.data.tags["mlflow.note.content"].startswith("**test macro F1 0.")


def test_a_training_ends_with_a_table_of_the_classes(workplace: Workplace, run_here: RunHere):
    printed = run_here(workplace, "src.train", *CHOSEN, "training.epochs=1")
    before, _, after = printed.partition("test images by class")
    assert "epoch 1/1" in before
    assert re.search(r"class +precision +recall +f1 +images", after)
    rows = re.findall(r"^ +\d +0\.\d{4} +[01]\.\d{4} +[01]\.\d{4} +\d+ *$", after, re.MULTILINE)
    assert len(rows) > 5  # some may have a precision of 1
    assert "best epoch 1" in after


def test_a_run_is_reused_if_it_recorded_the_same_metrics(workplace: Workplace):
    line = [*CHOSEN, "training.epochs=1", f"tracking.uri='{workplace.uri}'", "tracking.on_duplicate=reuse"]
    first, again = train(compose_config(line)), train(compose_config(line))
    other = train(compose_config([*line, "training.metrics=[auc]"]))
    assert (first.run_id == again.run_id, first == again, first.run_id == other.run_id) == (True, True, False)


# --- warnings ----------------------------------------------------------------------------------------------------

BLIND = [*SMALL, "training.epochs=1", "optimizer.learning_rate=1e-9", "model=dense", "tracking.detail=light"]


def test_a_class_that_is_never_recognized_gives_one_warning_at_the_end_and_in_the_description(
    workplace: Workplace, run_here: RunHere
):
    before, box, after = run_here(workplace, "src.train", *BLIND).partition("WARNING")
    assert (before.count("epoch 1/1"), box, after.count("WARNING")) == (1, "WARNING", 0)
    assert " (never predicted)" in after
    assert "best epoch 1" in after
    note = last_run(workplace).data.tags["mlflow.note.content"]
    assert re.match(r"\*\*test accuracy 0\.\d+, val accuracy ", note)
    assert re.search(r"\n\nWarnings:\n\n- recall is 0 for \d of 10 classes [^\n]*$", note)
    again = run_here(workplace, "src.evaluate", f"run_id={last_run(workplace).info.run_id}")
    assert re.search(r"recall is 0 for \d of 10 classes", again)


def test_the_warning_is_returned_and_a_reused_run_repeats_it(workplace: Workplace):
    line = [*BLIND, f"tracking.uri='{workplace.uri}'", "tracking.on_duplicate=reuse"]
    first, again = train(compose_config(line)), train(compose_config(line))
    assert first == again
    assert [warning.startswith("recall is 0 for ") for warning in first.warnings] == [True]


def test_a_run_that_does_not_score_the_test_split_does_not_warn_of_classes(workplace: Workplace):
    assert train(compose_config([*BLIND, "tracking=off", "evaluate_test=false"])).warnings == []


def test_reduced_precision_is_used_in_training_but_not_saved(workplace: Workplace):
    result = train_tracked(workplace, "training.precision=mixed_bfloat16", "tracking.detail=light")
    (saved,) = (workplace.folder / "mlartifacts").rglob("artifacts/model/model.keras")
    assert {layer.compute_dtype for layer in load_model(saved).layers} == {"float32"}
    assert MlflowClient(workplace.uri).get_run(result.run_id).data.params["resolved.precision"] == "mixed_bfloat16"


@pytest.mark.parametrize(("has_bfloat16", "policy"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_training_fast_is_bfloat16_if_the_processor_has_it_and_the_settings_say_so(
    has_bfloat16: bool, policy: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("src.fitting.devices.has_bfloat16", lambda: has_bfloat16)
    config = compose_config([*SMALL, "training=fast"])
    dataset = load_dataset(config.dataset)
    model = prepare_model(config, dataset)
    assert model.dtype_policy.name == policy
    assert reports.settings_of(config, dataset, model)["precision"].startswith(f"{policy} (auto: this processor has ")


def test_initial_weights_of_an_unknown_run_are_refused(trained: TrainedRun):
    with pytest.raises(ModelFileError, match="has no 0123456789abcdef0123456789abcdef"):
        train_tracked(trained.workplace, "training.initial_weights=0123456789abcdef0123456789abcdef")


def test_initial_weights_that_are_neither_a_file_nor_a_run_are_refused(tmp_path: Path):
    with pytest.raises(ModelFileError, match="it is neither a file nor the id of a run"):
        train_untracked(f"training.initial_weights='{tmp_path}/gone.keras'")


def test_initial_weights_from_a_file_that_is_not_a_model_are_refused(workplace: Workplace):
    weights = workplace.folder / "model.txt"
    weights.write_text("not a model")
    with pytest.raises(ModelFileError, match="is not a model that Keras can read"):
        train_untracked(f"training.initial_weights='{weights}'")


def test_initial_weights_of_another_network_are_refused(trained: TrainedRun):
    with pytest.raises(ModelFileError, match="do not fit dense"):
        train_tracked(trained.workplace, "model=dense", f"training.initial_weights={trained.run_id}")


@pytest.mark.services
def test_training_starts_from_the_weights_of_a_run(trained: TrainedRun):
    once = ["dataset=mnist", "model=lenot", "dataset.source=sample", "training.epochs=1", "tracking.detail=light"]
    fresh = train_untracked(*once)
    weights = f"training.initial_weights={trained.run_id}"
    continued = train_tracked(trained.workplace, *once, weights)
    assert continued.history["loss"][0] < 0.6 * fresh.history["loss"][0]


def test_an_augmentation_is_used_and_has_a_figure(workplace: Workplace):
    run_id = train_tracked(workplace, "augmentation=photos", "tracking.save_model=false", "evaluate_test=false").run_id
    client = MlflowClient(workplace.uri)
    assert "figures/augmentation.png" in {item.path for item in client.list_artifacts(str(run_id), "figures")}
    assert client.get_run(str(run_id)).data.params["augmentation.flip"] == "horizontal"


# --- debug, and the main job on full data ------------------------------------------------------------------------


@pytest.mark.services
def test_fast_dev_run_goes_through_everything_with_one_batch(workplace: Workplace):
    done = workplace.run("src.train", "debug=fast_dev_run", "dataset=synthetic")
    assert done.returncode == 0, done.stderr
    debug_store = Workplace(workplace.folder / ".debug")
    run = last_run(debug_store)
    assert run.data.params["resolved.train_images"] == run.data.params["training.batch_size"] == "128"
    assert run.data.params["resolved.test_images"] == "128"
    assert "test_accuracy" in run.data.metrics
    assert not (workplace.folder / "mlflow.db").exists()


@pytest.mark.services
def test_overfit_reaches_full_accuracy_on_one_batch(workplace: Workplace):
    store = [f"tracking.uri='{workplace.uri}'", "tracking.detail=light"]
    result = train(compose_config(["debug=overfit", "dataset.source=sample", *store]))
    assert result.metrics["accuracy"] == 1


@pytest.mark.services
def test_two_first_runs_at_once_share_a_fresh_store(workplace: Workplace):
    light = [*SMALL, "tracking.detail=light"]
    processes = [workplace.start("src.train", *light, f"seed={seed}") for seed in (1, 2)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    client = MlflowClient(workplace.uri)
    experiment = client.get_experiment_by_name("convlab")
    assert experiment is not None
    assert {run.info.status for run in client.search_runs([experiment.experiment_id])} == {"FINISHED"}


@pytest.mark.services
def test_the_full_mnist_is_used_if_it_is_there_as_one_epoch_shows(workplace: Workplace, full_data: str):
    places = [f"dataset.data_dir='{full_data}'", f"tracking.uri='{workplace.uri}'"]
    assert not train(compose_config(["training.epochs=1", "tracking.detail=light", *places])).warnings
    run = last_run(workplace)
    assert run.data.metrics["test_accuracy"] > 0.96
    assert run.data.params["resolved.train_images"] == "55000"


# --- the models that a run keeps ---------------------------------------------------------------------------------


def test_plain_tools_read_every_kept_format_as_the_same_model(trained: TrainedRun, client: MlflowClient):
    import keras
    import mlflow
    import tensorflow as tf

    images = load_dataset(compose_config(["dataset.source=sample"]).dataset).test.images[:64]
    folder = trained.workplace.folder / "mlartifacts" / trained.run_id / "artifacts" / "model"
    (logged,) = client.get_run(trained.run_id).outputs.model_outputs
    mlflow.set_tracking_uri(trained.workplace.uri)
    saved_model = tf.saved_model.load(str(folder / "saved_model"))
    answers = [
        keras.models.load_model(folder / "model.keras").predict(images, verbose=0),
        keras.models.load_model(folder / "model.h5").predict(images, verbose=0),
        saved_model.serve(images).numpy(),
        mlflow.pyfunc.load_model(f"models:/{logged.model_id}").predict(images),
    ]
    for answer in answers:
        np.testing.assert_allclose(answer, answers[0], atol=1e-5)
        np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


def test_the_logged_model_has_a_name_a_signature_an_example_and_its_metrics(trained: TrainedRun, client: MlflowClient):
    run = client.get_run(trained.run_id)
    logged = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert (logged.name, str(logged.status)) == ("lenot", "READY")
    metrics = {metric.key: metric.value for metric in logged.metrics}
    assert metrics["test_accuracy"] == run.data.metrics["test_accuracy"]
    described = Model.load(logged.artifact_location.removeprefix("file://"))
    (pixels,) = described.signature.inputs.inputs
    assert (pixels.type, pixels.shape) == (np.dtype("uint8"), (-1, 28, 28, 1))
    assert described.saved_input_example_info is not None


def test_no_pickle_is_kept(trained: TrainedRun):
    names = [path.name for path in trained.workplace.folder.rglob("*")]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".cloudpickle"))]


# --- pictures of one's own ------------------------------------------------------------------------------------------

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FONTS = ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10"]


def write_letters(folder: Path, versions: int) -> None:
    """A folder for each letter with PNG files in several fonts, sizes, places and angles, on a noisy ground."""
    random = np.random.default_rng(0)
    fonts = [Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf" for name in FONTS]
    for letter in LETTERS:
        (folder / letter).mkdir(parents=True)
        for version in range(versions):
            page = Image.new("L", (150, 140), 0)
            font = ImageFont.truetype(str(fonts[version % len(fonts)]), int(random.integers(84, 100)))
            place = (75 + random.uniform(-4, 4), 70 + random.uniform(-4, 4))
            ImageDraw.Draw(page).text(place, letter, fill=255, font=font, anchor="mm")
            turned = np.asarray(page.rotate(random.uniform(-8, 8)), np.float64)
            noisy = np.clip(0.7 * turned + random.uniform(0, 70, turned.shape), 0, 255)
            Image.fromarray(noisy.astype(np.uint8)).save(folder / letter / f"{version}.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("versions", "changes", "accuracy"), [(35, ["training.epochs=5", "training.batch_size=16"], 0.8), (63, [], 0.9)]
)
def test_hand_signs_learns_letters_from_a_folder_of_pictures(
    tmp_path: Path, versions: int, changes: list[str], accuracy: float
):
    write_letters(tmp_path / "hand_signs", versions)
    (tmp_path / "hand_signs" / "A" / "empty.png").touch()
    places = [f"dataset.data_dir='{tmp_path}'", f"dataset.cache_dir='{tmp_path}/cache'"]
    places += [f"tracking.uri='sqlite:///{tmp_path}/mlflow.db'"]
    config = compose_config(["experiment=hand_signs", *places, *changes])
    result = train(config)
    assert result.metrics["test_accuracy"] > accuracy  # by chance it would be 0.04
    assert "1 empty file" in result.warnings[0]
    client = MlflowClient(config.tracking.uri)
    tables = Path(client.download_artifacts(str(result.run_id), "tables", str(tmp_path)))
    assert (tables / "bad_images.csv").read_text() == "file,reason,result\nA/empty.png,empty file,skipped\n"
    first = (tables / "classes.csv").read_text().splitlines()[1]
    assert first == {35: "A,25,5,5", 63: "A,44,10,9"}[versions]  # of each 15 % are set aside, twice
    assert client.get_run(str(result.run_id)).data.params["resolved.data_source"] == "folder"


# --- every network ------------------------------------------------------------------------------------------------

BACKBONES = [  # one of each family, those included that HDF5 cannot hold
    "model=transfer model.weights=null model.backbone=" + name
    for name in ("VGG16", "DenseNet121", "EfficientNetB0", "MobileNetV3Small", "InceptionResNetV2", "ConvNeXtTiny")
]


@pytest.mark.slow
@pytest.mark.parametrize("model", [f"model={path.stem}" for path in sorted(CONF.glob("model/*.yaml"))] + BACKBONES)
def test_every_network_trains_at_its_smallest_size_and_its_formats_agree(model: str, tmp_path: Path):
    choice = ["model.weights=null", *model.split()] if "transfer" in model else model.split()
    smallest = compose_config([*choice, "dataset=synthetic", "dataset.image_size=[512,512]"]).model.smallest_input
    resized = [] if "transfer" not in model else [f"model.input_size={smallest}"]
    images = [f"dataset.image_size=[{smallest},{smallest}]", "dataset.train_size=74", "dataset.test_size=16"]
    config = compose_config(
        [
            *choice,
            *resized,
            "dataset=synthetic",
            *images,
            "training.epochs=1",
            f"tracking.uri='sqlite:///{tmp_path}/m.db'",
        ]
    )
    dataset = load_dataset(config.dataset)
    assert len(dataset.train) >= 64
    result = train(config, dataset=dataset)
    folder = Path(MlflowClient(config.tracking.uri).download_artifacts(str(result.run_id), "model", str(tmp_path)))
    formats = [name for name in saving.FORMATS if (folder / name).exists()]
    assert formats == list(saving.FORMATS) or ("model.h5" not in formats and "backbone" in model)
    first, *others = (saving.predict_with(folder / name, dataset.test.images) for name in formats)
    for other in others:
        np.testing.assert_allclose(other, first, atol=saving.TOLERANCE)


@pytest.mark.services
def test_a_checkout_may_be_in_a_folder_of_any_name(tmp_path: Path) -> None:
    checkout = Workplace(tmp_path / "work%20copy really? {x}[1] #1")
    for part in ("src", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / part, checkout.folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    small = ["dataset=synthetic", "dataset.limit=100", "training.epochs=1", "model=dense"]
    done = checkout.run("src.train", *small, PYTHONPATH=str(checkout.folder))
    assert done.returncode == 0, done.stderr
    (run_id,) = re.findall(r"run ([0-9a-f]{32})", done.stdout)
    again = checkout.run("src.evaluate", f"run_id={run_id}", PYTHONPATH=str(checkout.folder))
    assert again.returncode == 0, again.stderr
    assert [path.name for path in tmp_path.iterdir()] == [checkout.folder.name]
