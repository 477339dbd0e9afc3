"""Stores: created where there are none, and addresses of anything else are refused before training."""

import contextlib
import http.server
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from src.errors import StoreError
from src.links import VARIABLE
from src.schema import Config, TrackingConfig
from src.tracking import Survey, interrupted_run, open_store, resume_run
from src.tracking.store import FIRST_TABLES, explain_refusal
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace


def test_a_store_is_created_where_there_is_none_with_its_artifacts_next_to_it(config: Config, workplace: Workplace):
    store = open_store(config.tracking)
    assert store.client is not None
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.artifact_location == (workplace.folder / "mlartifacts").as_uri()


def test_opening_a_store_twice_gives_the_same_experiment(config: Config):
    assert open_store(config.tracking).experiment_id == open_store(config.tracking).experiment_id


def test_a_store_and_its_artifacts_may_be_in_a_folder_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "work%20copy really? {x} #1 [1] it's;&b=c 100% pü"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for uri in ("sqlite:///mlflow.db", f"sqlite:///{folder}/mlflow.db"):  # relative, and as it would be typed
        config = config_for("sqlite:///mlflow.db")
        config.tracking.uri = uri
        with new_run(config) as run:
            run.log_text("notes/a.txt", "kept")
        with resume_run(config.tracking, run_id=run.run_id) as again, again.reading("notes/a.txt") as file:
            assert file.read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [folder.name]
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["mlartifacts", "mlflow.db"]


def test_the_same_relative_address_is_another_store_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        config = config_for("sqlite:///mlflow.db")
        config.tracking.uri = "sqlite:///mlflow.db"
        with new_run(config) as run:
            pass
        assert MlflowClient(f"sqlite:///{tmp_path}/{name}/mlflow.db").get_run(str(run.run_id)).info.status == "FINISHED"
        assert len(mlflow.MlflowClient().search_runs(["1"])) == 1


def test_a_store_is_made_where_a_link_leads(workplace: Workplace, config: Config):
    (workplace.folder / "mlflow.db").symlink_to(workplace.folder / "elsewhere" / "real.db")
    open_store(config.tracking)
    assert (workplace.folder / "elsewhere" / "real.db").is_file()
    assert (workplace.folder / "mlartifacts").is_dir()


def test_a_tilde_in_the_address_of_a_store_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    open_store(config_for("sqlite:///~/mlflow.db").tracking)
    assert (tmp_path / "home" / "mlflow.db").is_file()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns"])
def test_the_dead_file_store_is_refused_with_the_way_out(uri: str):
    with pytest.raises(StoreError, match=r"no longer stores runs in a folder; use a database, sqlite:///mlflow\.db"):
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
    with pytest.raises(StoreError, match="answers, but is not an MLflow server"):
        open_store(config_for(other_server).tracking)


def test_the_database_of_something_else_is_refused_and_left_as_it_is(workplace: Workplace, config: Config):
    with sqlite3.connect(workplace.folder / "mlflow.db") as database:
        database.execute("create table studies (study_id integer)")
        database.execute("create table alembic_version (version_num text)")
    before = (workplace.folder / "mlflow.db").read_bytes()
    with pytest.raises(StoreError, match=r"database of another program \(it contains alembic_version, studies\)"):
        open_store(config.tracking)
    assert (workplace.folder / "mlflow.db").read_bytes() == before


def test_a_file_that_is_not_a_database_is_refused(workplace: Workplace, config: Config):
    (workplace.folder / "mlflow.db").write_text("this is not a database, but a text of some length " * 40)
    with pytest.raises(StoreError, match="cannot be opened as a database"):
        open_store(config.tracking)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write into .*; set tracking.uri to a writable place"):
        open_store(config_for(f"sqlite:///{tmp_path}/file/mlflow.db").tracking)


@pytest.mark.parametrize("given", [None, "sqlite:////srv/runs.db"])
def test_a_store_that_is_opened_changes_no_environment_variable(
    config: Config, monkeypatch: pytest.MonkeyPatch, given: str | None
):
    mlflow.set_tracking_uri("sqlite:////srv/before.db")  # MLflow sets the variable whenever another store is opened
    monkeypatch.delenv(VARIABLE, raising=False)
    if given is not None:
        monkeypatch.setenv(VARIABLE, given)
    open_store(config.tracking)
    assert os.environ.get(VARIABLE) == given


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(config: Config, client: MlflowClient):
    client.delete_experiment(open_store(config.tracking).experiment_id)
    with pytest.raises(StoreError, match=r"was deleted; restore it with `.*mlflow experiments restore -x"):
        open_store(config.tracking)


@pytest.mark.parametrize(
    ("use", "trains"),
    [
        (lambda config: open_store(config), True),
        (lambda config: interrupted_run(config, "0" * 32, print), False),
        (lambda config: Survey(config), False),
        (lambda config: resume_run(config, run_id="0" * 32).__enter__(), False),
    ],
    ids=["train", "resume", "doctor", "evaluate"],
)
def test_the_advice_for_a_server_that_does_not_answer_fits_the_command(
    use: Callable[[TrackingConfig], object], trains: bool
) -> None:
    with pytest.raises(StoreError, match=r"does not answer \(.*\); start it, (or )?correct tracking\.uri") as raised:
        use(config_for("http://127.0.0.1:1").tracking)
    assert ("tracking=off" in str(raised.value)) == trains


def test_a_database_in_memory_is_refused():
    with pytest.raises(StoreError, match="is a database in memory, which ends with the process; name a file"):
        open_store(config_for("sqlite://").tracking)


@pytest.mark.parametrize("uri", ["sqlite:/mlflow.db", "postgresql://127.0.0.1:port/x", "mysql://127.0.0.1:1/x"])
def test_an_address_that_cannot_be_one_is_refused_in_a_sentence(uri: str):
    with pytest.raises(StoreError, match=uri):
        open_store(config_for(uri).tracking)


def test_a_store_whose_making_was_killed_is_made_anew(workplace: Workplace, config: Config):
    (workplace.folder / ".mlflow.db.new").write_text("half of a database")
    open_store(config.tracking)
    assert not (workplace.folder / ".mlflow.db.new").exists()


@pytest.mark.parametrize("made", [["experiments"], [*FIRST_TABLES, "alembic_version"], ["alembic_version"]])
def test_an_incomplete_store_is_named_with_the_file_to_remove(workplace: Workplace, config: Config, made: list[str]):
    file = workplace.folder / "mlflow.db"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        for name in made:
            database.execute(f"create table {name} (experiment_id integer)")
    os.utime(file, (0, 0))
    with pytest.raises(StoreError, match=f"is incomplete: the process that created it was stopped.*; remove {file}"):
        open_store(config.tracking)


MLFLOW_ITSELF = """
import sys
import mlflow.store.tracking.sqlalchemy_store
print("ready", flush=True)
sys.stdin.readline()
client = mlflow.MlflowClient(sys.argv[1])
client.create_run("0", run_name="theirs")
"""


@pytest.mark.services
@pytest.mark.parametrize("waits_for", ["nothing", "mlflow.db", "mlflow.db-journal"])
def test_a_store_that_mlflow_makes_at_the_same_moment_is_opened_by_both(
    workplace: Workplace, config: Config, waits_for: str
):
    other = subprocess.Popen(
        [sys.executable, "-c", MLFLOW_ITSELF, workplace.uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    other.stdout.readline()
    with contextlib.suppress(subprocess.TimeoutExpired):
        other.communicate("\n", timeout=0.01)  # it begins
    while waits_for != "nothing" and not (workplace.folder / waits_for).exists() and other.poll() is None:
        pass
    store = open_store(config.tracking)
    other.communicate()
    assert other.returncode == 0
    assert store.client is not None
    assert [run.info.run_name for run in store.client.search_runs(["0"])] == ["theirs"]


def test_a_message_about_a_full_disk_names_the_file_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for uri in ("sqlite:///~/mlflow.db", " sqlite:///mlflow.db", "sqlite+pysqlite:///mlflow.db"):
        full = str(explain_refusal(uri, RuntimeError("database or disk is full")))
        assert full.startswith(f"{tmp_path}/mlflow.db cannot be written: the disk is full")
