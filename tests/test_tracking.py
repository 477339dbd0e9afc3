"""The tracking store: what is refused before training, what a run records, how a broken store is told."""

import contextlib
import http.server
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from src.compose import compose_config
from src.errors import StoreError
from src.interrupt import Interrupted
from src.schema import Config
from src.tracking import Run, open_store, resume_run, start_run
from tests.conftest import Workplace


def config_for(uri: str, *overrides: str) -> Config:
    config = compose_config(["dataset=synthetic", f"tracking.uri='{uri}'", *overrides])
    assert isinstance(config, Config)
    return config


@pytest.fixture
def config(workplace: Workplace) -> Config:
    return config_for(workplace.uri)


@pytest.fixture
def client(workplace: Workplace) -> MlflowClient:
    return MlflowClient(workplace.uri)


def new_run(config: Config, **arguments):
    return start_run(open_store(config.tracking), config, **arguments)


# --- stores ------------------------------------------------------------------------------------------------------


def test_a_store_is_made_where_there_is_none_with_its_artifacts_beside_it(config: Config, workplace: Workplace):
    store = open_store(config.tracking)
    assert store.client is not None
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.artifact_location == (workplace.folder / "mlartifacts").as_uri()


def test_opening_a_store_twice_gives_the_same_experiment(config: Config):
    assert open_store(config.tracking).experiment_id == open_store(config.tracking).experiment_id


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns"])
def test_the_dead_file_store_is_refused_with_the_way_out(uri: str):
    with pytest.raises(StoreError, match=r"no longer keeps runs in a folder; use a database, sqlite:///mlflow\.db"):
        open_store(config_for(uri).tracking)


def test_a_server_that_does_not_answer_is_refused_before_training(workplace: Workplace):
    done = workplace.run("src.train", "dataset=synthetic", "tracking.uri=http://ada:hunter22@127.0.0.1:9")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "tracking=off" in done.stderr
    assert "hunter22" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert "epoch" not in done.stdout


@pytest.fixture
def other_server() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_is_not_mlflow_is_refused(other_server: str):
    with pytest.raises(StoreError, match="answers, but not as an MLflow server does"):
        open_store(config_for(other_server).tracking)


def test_the_database_of_something_else_is_refused_and_left_as_it_is(workplace: Workplace, config: Config):
    with sqlite3.connect(workplace.folder / "mlflow.db") as database:
        database.execute("create table studies (study_id integer)")
        database.execute("create table alembic_version (version_num text)")
    before = (workplace.folder / "mlflow.db").read_bytes()
    with pytest.raises(StoreError, match=r"database of something else \(it holds alembic_version, studies\)"):
        open_store(config.tracking)
    assert (workplace.folder / "mlflow.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused(workplace: Workplace, config: Config):
    (workplace.folder / "mlflow.db").write_text("this is not a database, but a text of some length " * 40)
    with pytest.raises(StoreError, match="not a database that can be opened"):
        open_store(config.tracking)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write into .*; set tracking.uri to a writable place"):
        open_store(config_for(f"sqlite:///{tmp_path}/file/mlflow.db").tracking)


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(config: Config, client: MlflowClient):
    client.delete_experiment(open_store(config.tracking).experiment_id)
    with pytest.raises(StoreError, match="was deleted; restore it with `mlflow experiments restore"):
        open_store(config.tracking)


def test_resuming_from_a_store_that_is_not_there_makes_none(workplace: Workplace, config: Config):
    with pytest.raises(StoreError, match="there is no tracking store"), resume_run(config.tracking, run_id="x"):
        pass
    assert not (workplace.folder / "mlflow.db").exists()


# --- runs --------------------------------------------------------------------------------------------------------


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
    assert client.get_run(str(run.run_id)).data.tags["error"] == "RuntimeError: no route to postgresql://***@db/x"


def test_points_of_epochs_are_written_in_order_and_all_there_at_the_end(config: Config, client: MlflowClient):
    with new_run(config) as run:
        for epoch in range(1, 51):
            run.log_epoch(epoch, {"loss": 1 / epoch})
    points = client.get_metric_history(str(run.run_id), "loss")
    assert [(point.step, point.value) for point in points] == [(epoch, 1 / epoch) for epoch in range(1, 51)]


def test_a_point_that_cannot_be_written_fails_the_run_and_is_never_dropped(config: Config, client: MlflowClient):
    runs = []

    def log_nonsense() -> None:
        with new_run(config) as run:
            runs.append(run)
            run.log_metrics({"a name with a ? in it": 1.0}, 1)

    with pytest.raises(StoreError, match="no longer takes metrics"):
        log_nonsense()
    assert client.get_run(runs[0].run_id).info.status == "FAILED"


def test_asking_twice_for_the_same_metric_adds_no_point(config: Config, client: MlflowClient):
    with new_run(config) as run:
        for value in (0.5, 0.5, 0.75):
            run.log_new_metrics({"test_accuracy": value}, 3)
            run.flush()
    assert [point.value for point in client.get_metric_history(str(run.run_id), "test_accuracy")] == [0.5, 0.75]


def test_params_are_shown_as_they_would_be_typed(config: Config, client: MlflowClient):
    with new_run(config) as run:
        run.log_params({"a.none": None, "a.flag": True, "a.rate": 1e-3, "a.list": [120, 84], "a.text": "relu"})
    params = client.get_run(str(run.run_id)).data.params
    shown = {name: params[name] for name in params if name.startswith("a.")}
    assert shown == {"a.none": "null", "a.flag": "true", "a.rate": "0.001", "a.list": "[120, 84]", "a.text": "relu"}


def test_a_run_is_named_tagged_and_placed_under_its_parent(workplace: Workplace, client: MlflowClient):
    config = config_for(workplace.uri, "tracking.run_name=first try", "tags.owner=ada")
    with new_run(config) as parent, new_run(config, parent_run_id=parent.run_id, tags={"trial_number": "7"}) as child:
        pass
    run = client.get_run(str(child.run_id))
    assert run.info.run_name == "first try"
    assert (run.data.tags["owner"], run.data.tags["trial_number"]) == ("ada", "7")
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id


def test_a_run_id_in_the_environment_does_not_catch_the_run(config: Config, monkeypatch: pytest.MonkeyPatch):
    with new_run(config) as first:
        pass
    monkeypatch.setenv("MLFLOW_RUN_ID", str(first.run_id))
    with new_run(config) as second:
        pass
    assert second.run_id != first.run_id


def test_a_resumed_run_gives_back_its_config_and_keeps_its_status(config: Config, client: MlflowClient):
    with new_run(config) as run:
        run.log_params({"resolved.best_epoch": 4})
    with resume_run(config.tracking, run_id=run.run_id) as resumed:
        assert resumed.read_config()["model"]["name"] == "lenot"
        assert resumed.best_epoch == 4
    assert client.get_run(str(run.run_id)).info.status == "FINISHED"


def test_what_a_run_does_not_keep_is_named(config: Config):
    with new_run(config) as run:
        pass
    with (
        resume_run(config.tracking, run_id=run.run_id) as resumed,
        pytest.raises(StoreError, match="keeps no model"),
        resumed.model_folder(),
    ):
        pass


def test_without_tracking_every_call_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with new_run(compose_config(["tracking=off"])) as run:
        assert isinstance(run, Run)
        assert run.run_id is None
        run.log_params({"a": 1})
        run.log_epoch(1, {"loss": 1.0})
        run.log_text("a.txt", "text")
        run.log_table("a.csv", ("a",), [(1,)])
        run.describe("text")
    assert not list(tmp_path.iterdir())


def test_system_metrics_are_sampled_when_asked_for(
    workplace: Workplace, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with new_run(config_for(workplace.uri, "tracking.system_metrics=true")) as run:
        deadline = time.monotonic() + 60
        while not (metrics := client.get_run(str(run.run_id)).data.metrics) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert "system/cpu_utilization_percentage" in metrics
