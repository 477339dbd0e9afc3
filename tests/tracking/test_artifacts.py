"""Files of a run are complete or missing, also when the disk is full."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from src.cli.compose import compose_config
from src.errors import NotKept, StoreError
from src.tracking import Run, abandon_model, explain_store_errors, open_store, start_run
from src.tracking.artifacts import RESERVED, reading_model
from src.tracking.store import prepare_store
from tests.support.runs import config_for, new_run
from tests.support.servers import plain_server
from tests.support.workplace import Workplace

TOO_MUCH = 200_000  # bytes; files may have half of that


@pytest.fixture
def run(workplace: Workplace):
    config = compose_config(["dataset=synthetic", f"tracking.uri='{workplace.uri}'"])
    with start_run(open_store(config.tracking), config) as started:
        yield started


def artifacts(workplace: Workplace, run: Run) -> Path:
    return workplace.folder / "mlartifacts" / str(run.run_id) / "artifacts"


def test_a_file_has_its_name_only_when_it_is_complete(workplace: Workplace, run: Run):
    folder = artifacts(workplace, run)

    def interrupted() -> None:
        assert run._artifacts is not None
        with run._artifacts.new_file("tables/a.csv") as file:
            file.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert not list((folder / "tables").iterdir())
    run.log_text("tables/a.csv", "whole")
    assert [path.name for path in (folder / "tables").iterdir()] == ["a.csv"]


def test_a_new_folder_replaces_the_one_with_its_name(workplace: Workplace, run: Run):
    for name in ("old", "new"):
        with run.new_folder("model") as folder:
            folder.mkdir()
            (folder / f"{name}.txt").write_text(name)
    assert [path.name for path in (artifacts(workplace, run) / "model").iterdir()] == ["new.txt"]


@pytest.mark.services
def test_a_new_folder_replaces_the_one_with_its_name_on_a_server(tmp_path: Path):
    with plain_server(tmp_path) as server, new_run(config_for(server.uri)) as run:
        for names in (["old.txt", "old/a.txt", "both/old.txt", "both/a.txt"], ["both/a.txt", "new.txt"]):
            with run.new_folder("front") as folder:
                for name in names:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_text(names[-1])
        with run.reading("front") as front:
            files = {file.relative_to(front).as_posix() for file in front.rglob("*") if file.is_file()}
    assert files == {"both/a.txt", "new.txt"}


@pytest.mark.services
def test_an_artifact_that_is_missing_on_a_server_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object) -> None:
        raise AssertionError("a server with a bucket would answer 500 now")

    with plain_server(tmp_path) as server, new_run(config_for(server.uri)) as run:
        run.log_text("front/a.txt", "a")
        monkeypatch.setattr(MlflowClient, "download_artifacts", fail)
        for path in ("checkpoint", "front/b.txt", "front/a.txt/c"):
            with pytest.raises(NotKept, match=path), run.reading(path):
                pass


@pytest.mark.services
def test_a_folder_is_replaced_on_a_server_that_lets_nothing_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object) -> None:
        raise PermissionError("AccessDenied")  # a bucket's library has errors of its own

    monkeypatch.setattr("src.tracking.artifacts._remove_others", refuse)
    with plain_server(tmp_path) as server, new_run(config_for(server.uri)) as run:
        with run.new_folder("front") as folder:
            folder.mkdir()
            (folder / "a.txt").write_text("a")
        with run.reading("front/a.txt") as file:
            assert file.read_text() == "a"
    assert run.status == "FINISHED"


FULL_DISK = f"""
import resource, signal, sys
from pathlib import Path
from src import tracking
from src.errors import NotKept, StoreError
from src.cli.compose import compose_config
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
config = compose_config(["dataset=synthetic", "tracking.uri=" + sys.argv[1]])
def keep_folder():
    with run.new_folder("model") as folder:
        folder.mkdir()
        (folder / "small").write_bytes(b"x")
        (folder / "large").write_bytes(b"x" * {TOO_MUCH})
with tracking.start_run(tracking.open_store(config.tracking), config) as run:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({TOO_MUCH // 2}, resource.RLIM_INFINITY))
    for keep in (keep_folder, lambda: run.log_text("a.txt", "x" * {TOO_MUCH})):
        try:
            keep()
        except StoreError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(run.run_id)
"""


def test_a_file_that_does_not_fit_on_the_disk_is_not_half_written_under_its_name(workplace: Workplace):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, workplace.uri],
        cwd=workplace.folder,
        env=workplace.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    model, text, run_id = done.stdout.splitlines()
    assert "model could not be written: " in model
    assert "a.txt could not be written: " in text
    folder = workplace.folder / "mlartifacts" / run_id / "artifacts"
    assert sorted(path.name for path in folder.iterdir()) == ["config", "environment"]


def test_temporary_files_are_made_next_to_the_artifacts_and_removed(workplace: Workplace, run: Run):
    before = tempfile.gettempdir()
    assert run._artifacts is not None
    with run._artifacts.temporary_files():
        folder = Path(tempfile.mkdtemp())
        assert folder.is_relative_to(artifacts(workplace, run))
    assert not folder.parent.exists()
    assert tempfile.gettempdir() == before


def test_temporary_files_next_to_artifacts_have_a_name_that_tensorflow_takes_literally(
    workplace: Workplace, run: Run, monkeypatch: pytest.MonkeyPatch
):
    assert run._artifacts is not None
    folder = workplace.folder / "back\\slash"
    folder.mkdir()
    monkeypatch.setattr(run._artifacts, "_uri", folder.as_uri())
    with run._artifacts.temporary_files():
        made = tempfile.mkdtemp()
        assert "\\" not in made
        assert Path(made).resolve().is_relative_to(folder)
    assert not list(folder.iterdir())


def test_artifacts_on_this_disk_are_read_in_place(workplace: Workplace, run: Run):
    run.log_text("tables/a.csv", "1")
    with run.reading("tables/a.csv") as file:
        assert file == artifacts(workplace, run) / "tables" / "a.csv"


def test_a_running_run_reserves_disk_space_without_leaving_a_file_behind(workplace: Workplace, run: Run):
    assert run._artifacts is not None
    assert run._artifacts._reserve is not None
    assert os.fstat(run._artifacts._reserve.fileno()).st_size == RESERVED
    assert not [path for path in workplace.folder.rglob("*") if path.is_file() and path.stat().st_size == RESERVED]
    run.end("FINISHED")
    assert run._artifacts._reserve is None


@pytest.mark.parametrize(("status", "kept"), [("PENDING", False), ("READY", True)])
def test_an_unfinished_model_becomes_failed_and_its_files_are_removed(
    status: str, kept: bool, workplace: Workplace, run: Run
):
    client = MlflowClient(workplace.uri)
    logged = client.create_logged_model(run.experiment_id, "net", source_run_id=run.run_id)
    folder = Path(logged.artifact_location.removeprefix("file://"))
    folder.mkdir(parents=True)
    (folder / "half").touch()
    if kept:
        client.finalize_logged_model(logged.model_id, status)
    abandon_model(client, logged.model_id)
    assert str(client.get_logged_model(logged.model_id).status) == ("READY" if kept else "FAILED")
    assert folder.parent.exists() == kept


def test_the_files_of_a_model_that_cannot_be_fetched_are_a_store_error(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    prepare_store(workplace.uri)
    client = MlflowClient(workplace.uri)
    gone = "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts"
    experiment_id = client.create_experiment("elsewhere", artifact_location=gone)
    model = f"models:/{client.create_logged_model(experiment_id, name='net').model_id}"
    with pytest.raises(StoreError, match=f"the files of {model} could not be fetched"), reading_model(client, model):
        pass


def fail_with(error: str) -> None:
    raise MlflowException(f"(sqlite3.OperationalError) {error}")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("database or disk is full", "the disk is full; free some space"),
        ("attempt to write a readonly database", "read-only"),
        ("unable to open database file", "read-only"),
        ("disk I/O error", "quota"),
    ],
)
def test_a_database_that_cannot_be_written_is_named_by_its_file(error: str, sentence: str, workplace: Workplace):
    with pytest.raises(StoreError, match=sentence) as caught, explain_store_errors(workplace.uri):
        fail_with(error)
    assert str(workplace.folder / "mlflow.db") in str(caught.value)
