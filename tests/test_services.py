"""Against a real `mlflow server`: the same runs, over HTTP, with artifacts that go through the server."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.conftest import Workplace

pytestmark = pytest.mark.services
SMALL = ("dataset=synthetic", "training.epochs=2")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """An MLflow server on a free port of 127.0.0.1, its store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        self.artifacts = folder / "artifacts"
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        arguments += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
        arguments += ["--artifacts-destination", str(self.artifacts)]
        with (folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *arguments],
                cwd=folder,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"{self.uri} did not come up")

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.wait()
        yield server
    finally:
        server.kill()


def only_run(uri: str, experiment: str):
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    (run,) = client.search_runs([found.experiment_id])
    return client, run


def test_a_run_on_a_server_is_whole_and_nothing_is_kept_here(workplace: Workplace, server: Server):
    done = workplace.run("src.train", *SMALL, f"tracking.uri={server.uri}", "tracking.experiment=whole")
    assert done.returncode == 0, done.stderr
    client, run = only_run(server.uri, "whole")
    assert f"{server.uri}/#/runs/{run.info.run_id}" in done.stdout
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val_loss")] == [1, 2]
    kept = {path.name for path in server.artifacts.rglob(f"{run.info.run_id}/artifacts/*/*")}
    assert {"model.keras", "model.h5", "saved_model", "confusion_matrix.png", "config.yaml"} <= kept
    assert not [path for path in workplace.folder.iterdir() if path.name.startswith("ml")]


def test_a_run_on_a_server_is_scored_again_from_the_server(workplace: Workplace, server: Server):
    where = [f"tracking.uri={server.uri}", "tracking.experiment=scored"]
    assert workplace.run("src.train", *SMALL, *where).returncode == 0
    client, run = only_run(server.uri, "scored")
    done = workplace.run("src.evaluate", f"run_id={run.info.run_id}", f"tracking.uri={server.uri}")
    assert done.returncode == 0, done.stderr
    assert f"test_accuracy {run.data.metrics['test_accuracy']:.4f}" in done.stdout
    assert client.get_run(run.info.run_id).data.metrics == run.data.metrics


def test_a_password_in_the_address_is_in_nothing_that_is_written_or_said(workplace: Workplace, server: Server):
    address = server.uri.replace("http://", "http://ada:hunter22@")
    done = workplace.run("src.train", *SMALL, f"tracking.uri={address}", "tracking.experiment=secret")
    assert done.returncode == 0, done.stderr
    assert "hunter22" not in done.stdout + done.stderr
    _, run = only_run(server.uri, "secret")
    assert run.data.params["tracking.uri"] == server.uri.replace("http://", "http://***@")
    folders = [workplace.folder, server.artifacts.parent]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"]
    assert not [path for path in files if b"hunter22" in path.read_bytes()]


def test_a_sweep_on_a_server_has_its_children_and_results_there(workplace: Workplace, server: Server):
    where = [f"tracking.uri={server.uri}", "tracking.experiment=swept"]
    done = workplace.run("src.train", "-m", "dataset=synthetic", "training.epochs=1", "seed=1,2", *where)
    assert done.returncode == 0, done.stderr
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("swept")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3
    kept = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"trials.csv", "best.yaml", "sweep.html", "figures"} <= kept


@pytest.mark.fault
def test_a_server_that_dies_during_training_ends_the_run_with_a_sentence(workplace: Workplace, tmp_path: Path):
    (tmp_path / "own").mkdir()
    server = Server(tmp_path / "own")
    try:
        server.wait()
        process = workplace.start(
            "src.train", "dataset=synthetic", "training.epochs=5000", f"tracking.uri={server.uri}"
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch    2/5000"):
                break
        server.kill()
        _, err = process.communicate(timeout=240)
        assert process.returncode == 1, err
        assert "the tracking store no longer takes metrics" in err
        assert "Traceback" not in err
    finally:
        server.kill()
