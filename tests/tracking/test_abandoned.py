"""Runs that killed processes left RUNNING: they are ended when a store is opened, with their half-written models."""

import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException

from src.links import doctor_command
from src.schema import Config
from src.tracking import open_store, origin_tags, tags
from src.tracking.abandoned import end_abandoned_runs
from src.tracking.process import is_gone, process_name
from src.tracking.tags import HOST, PIPELINE_KEY, PROCESS, STUDY_ID, SWEEP
from tests.support.runs import config_for

HALF = "half"  # a file of a model that was being written


@pytest.fixture(scope="module")
def gone() -> str:
    """The name of a process that has ended."""
    with subprocess.Popen(["sleep", "600"]) as process:
        name = process_name(process.pid)
        process.kill()
    return name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("left")


@pytest.fixture(scope="module")
def config(folder: Path) -> Config:
    return config_for(f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture
def client(config: Config) -> Iterator[MlflowClient]:
    open_store(config.tracking)
    client = MlflowClient(config.tracking.uri)
    yield client
    for run in client.search_runs(["1"]):
        client.delete_run(run.info.run_id)


def begun(client: MlflowClient, process: str, host: str = "", **tags: str) -> str:
    """A run that says RUNNING."""
    named = {HOST: host or platform.node(), PROCESS: process}
    return str(client.create_run("1", tags=named | tags).info.run_id)


def status(client: MlflowClient, run_id: str) -> str:
    return str(client.get_run(run_id).info.status)


def begun_model(client: MlflowClient, run_id: str) -> tuple[str, Path]:
    """A model that is being written, and a file of it."""
    model = client.create_logged_model("1", "dense", source_run_id=run_id)
    file = Path(model.artifact_location.removeprefix("file://")) / HALF
    file.parent.mkdir(parents=True)
    file.write_text("so far")
    return model.model_id, file


def test_opening_a_store_ends_the_runs_that_a_killed_process_left_there(
    config: Config, client: MlflowClient, gone: str
) -> None:
    left, trial = begun(client, gone), begun(client, gone, trial="3")
    open_store(config.tracking)
    assert [status(client, run_id) for run_id in (left, trial)] == ["KILLED", "KILLED"]


def test_one_line_says_how_many_runs_were_killed_and_how_to_list_them(
    config: Config, client: MlflowClient, gone: str
) -> None:
    lines: list[str] = []
    open_store(config.tracking, lines.append)
    for count, subject in ((1, "1 run was"), (3, "3 runs were")):
        for _ in range(count):
            begun(client, gone)
        open_store(config.tracking, lines.append)
        open_store(config.tracking, lines.append)  # nothing is left to say
        command = doctor_command(config.tracking.uri)
        assert lines == [f"{subject} killed; `{command}` lists killed runs and the commands that resume them"]
        lines.clear()


def test_one_request_asks_for_the_runs_of_this_machine_alone(
    client: MlflowClient, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("", "another"):
        begun(client, gone, host)
    requests = []
    search = MlflowClient.search_runs

    def counted(*given: Any, **named: Any) -> Any:
        requests.append(search(*given, **named))
        return requests[-1]

    monkeypatch.setattr(MlflowClient, "search_runs", counted)
    end_abandoned_runs(client, "1")
    assert [len(found) for found in requests] == [1]


def test_a_run_of_an_earlier_version_waits_for_the_doctor(client: MlflowClient, gone: str) -> None:
    left = client.create_run("1", tags={"host": platform.node(), "process": gone}).info.run_id
    assert end_abandoned_runs(client, "1") == []
    assert status(client, left) == "RUNNING"


def test_runs_of_living_processes_and_of_other_hosts_stay(client: MlflowClient, gone: str) -> None:
    others = [
        begun(client, process_name()),
        begun(client, gone, host=f"{platform.node()}2"),
        begun(client, "etl"),
    ]
    assert end_abandoned_runs(client, "1") == []
    assert {status(client, run_id) for run_id in others} == {"RUNNING"}


PARENTS = {
    "a sweep": {SWEEP: "true", "sweep": "true", STUDY_ID: "0123abcd"},
    "a sweep, before it had a tag of its own": {"sweep": "true", STUDY_ID: "0123abcd"},
    "a sweep, before tags had a prefix": {"sweep": "true", "study_id": "0123abcd"},
    "a pipeline": {"pipeline": "reproduce", PIPELINE_KEY: "0123"},
    "a pipeline, before tags had a prefix": {"pipeline": "reproduce", "pipeline_key": "0123"},
}


@pytest.mark.parametrize("kind", PARENTS)
def test_a_parent_run_stays_since_any_process_can_resume_it(client: MlflowClient, gone: str, kind: str) -> None:
    process = "process" if "before tags had a prefix" in kind else PROCESS
    parent = {process: gone, "host": platform.node()} | PARENTS[kind]
    assert is_gone(parent)
    client.create_run("1", tags=parent)
    assert end_abandoned_runs(client, "1") == []


# All tags that people read, and the names that earlier versions gave to those that only the program reads.
PLAIN = sorted({*re.findall(r"`(\w+)`", str(tags.__doc__)), "process", "study_id", "pipeline_key", "fingerprint"})


@pytest.mark.parametrize("of_trial", [{}, {STUDY_ID: "0123abcd", "study": "lenot", "trial": "3"}], ids=["run", "trial"])
def test_a_user_s_own_tag_does_not_keep_a_killed_run_running(
    client: MlflowClient, gone: str, of_trial: dict[str, str]
) -> None:
    assert {"host", "sweep", "pipeline"} <= {*PLAIN}
    left = [
        client.create_run("1", tags=origin_tags() | {PROCESS: gone, name: "true"} | of_trial).info.run_id
        for name in PLAIN
    ]
    assert sorted(end_abandoned_runs(client, "1")) == sorted(left)


def test_runs_that_have_ended_keep_their_status(client: MlflowClient, gone: str) -> None:
    ended = begun(client, gone)
    client.set_terminated(ended, "FINISHED", end_time=1_700_000_000_000)
    assert end_abandoned_runs(client, "1") == []
    assert client.get_run(ended).info.end_time == 1_700_000_000_000


def test_a_model_that_was_being_written_becomes_failed_and_its_files_are_removed(
    client: MlflowClient, gone: str
) -> None:
    left, alive = begun(client, gone), begun(client, process_name())
    whole, whole_file = begun_model(client, left)
    client.finalize_logged_model(whole, "READY")
    half, half_file = begun_model(client, left)
    own, own_file = begun_model(client, alive)
    end_abandoned_runs(client, "1")
    assert [str(client.get_logged_model(model).status) for model in (whole, half, own)] == [
        "READY",
        "FAILED",
        "PENDING",
    ]
    assert [file.exists() for file in (whole_file, half_file, own_file)] == [True, False, True]


def test_half_written_files_of_the_run_are_removed(client: MlflowClient, gone: str) -> None:
    left = begun(client, gone)
    figures = Path(client.get_run(left).info.artifact_uri.removeprefix("file://")) / "figures"
    (figures / ".part-model").mkdir(parents=True)
    for name in (".part-model/model.keras", ".part-curves.png", "curves.png"):
        (figures / name).write_text("so far")
    end_abandoned_runs(client, "1")
    assert [path.name for path in figures.iterdir()] == ["curves.png"]


def test_a_folder_that_is_not_the_model_s_own_is_never_removed(
    client: MlflowClient, gone: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = folder / "precious"
    precious.mkdir()
    left = begun(client, gone)
    model_id, _ = begun_model(client, left)
    get = MlflowClient.get_logged_model

    def misled(*given: str) -> LoggedModel:
        model = get(*given)
        model._artifact_location = precious.as_uri()
        return model

    monkeypatch.setattr(MlflowClient, "get_logged_model", misled)
    end_abandoned_runs(client, "1")
    assert precious.exists()
    assert (status(client, left), str(client.get_logged_model(model_id).status)) == ("KILLED", "FAILED")


def test_a_store_that_does_not_allow_it_is_opened_anyway(
    config: Config, client: MlflowClient, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = begun(client, gone)

    def refuse(*given: object, **named: object) -> None:
        raise MlflowException("no")

    monkeypatch.setattr(MlflowClient, "set_terminated", refuse)
    assert open_store(config.tracking).experiment_id == "1"
    assert status(client, left) == "RUNNING"
