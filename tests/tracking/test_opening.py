"""Runs are opened, ended and resumed."""

import contextlib
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from src.errors import StoreError
from src.process.interrupt import Interrupted
from src.schema import Config
from src.tracking import resume_run
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (RuntimeError("broken"), "FAILED"), (SystemExit(3), "FAILED"), (Interrupted(15), "KILLED")],
)
def test_the_status_of_a_run_is_how_it_ended(
    config: Config, client: MlflowClient, error: BaseException | None, status: str
):
    with contextlib.suppress(RuntimeError, SystemExit, Interrupted), new_run(config) as run:
        if error is not None:
            raise error
    info = client.get_run(str(run.run_id)).info
    assert info.status == status
    assert info.end_time is not None


def test_the_error_of_a_failed_run_is_a_tag_without_secrets(config: Config, client: MlflowClient):
    with pytest.raises(RuntimeError), new_run(config) as run:
        raise RuntimeError("no route to postgresql://ada:hunter22@db/x")
    assert client.get_run(str(run.run_id)).data.tags["error"] == "RuntimeError: no route to postgresql://ada:***@db/x"


def test_a_run_is_named_tagged_and_placed_under_its_parent(workplace: Workplace, client: MlflowClient):
    config = config_for(workplace.uri, "tracking.run_name=first try", "tags.owner=ada")
    with new_run(config) as parent, new_run(config, parent_run_id=parent.run_id, tags={"trial_number": "7"}) as child:
        pass
    run = client.get_run(str(child.run_id))
    assert run.info.run_name == "first try"
    assert (run.data.tags["owner"], run.data.tags["trial_number"]) == ("ada", "7")
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id


def test_a_run_id_in_the_environment_is_not_reused(config: Config, monkeypatch: pytest.MonkeyPatch):
    with new_run(config) as first:
        pass
    monkeypatch.setenv("MLFLOW_RUN_ID", str(first.run_id))
    with new_run(config) as second:
        pass
    assert second.run_id != first.run_id


def test_a_run_that_was_interrupted_before_its_config_was_recorded_has_it_when_it_is_continued(
    config: Config, client: MlflowClient
):
    with new_run(config) as first:
        pass
    run_id = client.create_run(first.experiment_id).info.run_id
    client.set_terminated(run_id, "KILLED")
    with new_run(config, run_id=run_id, overrides=["model=lenot"]) as run:
        pass
    assert run.read_config() == first.read_config()
    assert run.read_overrides() == ["model=lenot"]
    assert client.get_run(run_id).data.params == client.get_run(str(first.run_id)).data.params


def test_a_continued_run_keeps_its_config(config: Config, client: MlflowClient):
    with new_run(config) as first:
        pass
    client.set_terminated(str(first.run_id), "KILLED")
    with new_run(config_for(config.tracking.uri, "seed=7"), run_id=first.run_id) as run:
        pass
    assert run.read_config()["seed"] == config.seed


def test_a_resumed_run_returns_its_config_and_keeps_its_status(config: Config, client: MlflowClient):
    with new_run(config) as run:
        run.log_params({"resolved.best_epoch": 4})
    with resume_run(config.tracking, run_id=run.run_id) as resumed:
        assert resumed.read_config()["model"]["name"] == "lenot"
        assert resumed.best_epoch == 4
    assert client.get_run(str(run.run_id)).info.status == "FINISHED"


def test_the_thread_of_a_resumed_run_ends(config: Config):
    with new_run(config) as run:
        pass
    before = set(threading.enumerate())
    with resume_run(config.tracking, run_id=run.run_id) as resumed:
        resumed.log_metrics({"test_accuracy": 0.5}, 1)
        (writer,) = set(threading.enumerate()) - before
    writer.join(60)
    assert not writer.is_alive()


def test_system_metrics_are_sampled_when_asked_for(
    workplace: Workplace, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with new_run(config_for(workplace.uri, "tracking.system_metrics=true")) as run:
        deadline = time.monotonic() + 60
        while not (metrics := client.get_run(str(run.run_id)).data.metrics) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert "system/cpu_utilization_percentage" in metrics


def test_resuming_from_a_missing_store_does_not_create_it(workplace: Workplace, config: Config):
    with pytest.raises(StoreError, match=r"tracking store .* does not exist"), resume_run(config.tracking, run_id="x"):
        pass
    assert not (workplace.folder / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("sqlite:x", "cannot be used"),
        ("runs", "no longer stores runs in a folder"),
        ("sqlite:///{folder}", "cannot be opened as a database"),
        ("postgresql://127.0.0.1:1/x", "does not answer"),
        ("nothing://x", "cannot be used"),
    ],
)
def test_looking_for_a_run_in_an_address_that_is_not_a_store_fails_at_once(tmp_path: Path, uri: str, sentence: str):
    tracking = config_for(uri.format(folder=tmp_path)).tracking
    with pytest.raises(StoreError, match=sentence), resume_run(tracking, run_id="0123"):
        pass


@pytest.mark.parametrize("model_uri", ["http://127.0.0.1:1/x", "s3://bucket/model", "no-such-folder"])
def test_a_missing_model_is_named(config: Config, model_uri: str):
    with new_run(config):
        pass
    with pytest.raises(StoreError, match=f"has no {model_uri}"), resume_run(config.tracking, model_uri=model_uri):
        pass
