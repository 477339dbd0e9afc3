"""Delivering what a run has kept in a folder while its store did not answer."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from src.errors import StoreError
from src.links import resume_command
from src.schema import Config
from src.tracking import deliver, open_store, origin_tags
from src.tracking.process import process_name
from src.tracking.tags import HOST, PROCESS
from src.tracking.undelivered import Points, Undelivered, kept_files
from tests.support.workplace import Workplace


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("store"))


@pytest.fixture
def run_id(config: Config, client: MlflowClient) -> str:
    experiment_id = open_store(config.tracking).experiment_id
    return str(client.create_run(experiment_id, tags=origin_tags()).info.run_id)


@pytest.fixture
def kept(run_id: str, workplace: Workplace, tmp_path: Path) -> Undelivered:
    """Three epochs and a model of a run."""
    undelivered = Undelivered(workplace.uri, run_id, "1")
    undelivered.add_points([Points({"loss": 1 / epoch, "accuracy": 0.5}, epoch, 1_000 + epoch) for epoch in (1, 2, 3)])
    model = tmp_path / "prepared" / "model"
    (model / "saved_model").mkdir(parents=True)
    (model / "model.keras").write_text("weights")
    (model / "saved_model" / "saved_model.pb").write_text("graph")
    undelivered.add_artifact(model, "model")
    return undelivered


def history(client: MlflowClient, run_id: str) -> list[tuple[int, float, int]]:
    return [(point.step, point.value, point.timestamp) for point in client.get_metric_history(run_id, "loss")]


COMPLETE = [(1, 1.0, 1_001), (2, 1 / 2, 1_002), (3, 1 / 3, 1_003)]


def test_everything_arrives_and_the_folder_is_removed(kept: Undelivered, run_id: str, client: MlflowClient):
    delivery = deliver(kept.folder)
    assert delivery[:4] == (run_id, 6, 2, True)
    assert delivery.message == (
        f"delivered 6 points and 2 files to run {run_id}; complete it with: {resume_command(delivery.uri, run_id)}"
    )
    assert history(client, run_id) == COMPLETE
    assert {file.path for file in client.list_artifacts(run_id, "model")} == {"model/model.keras", "model/saved_model"}
    assert client.get_run(run_id).info.status == "KILLED"
    assert not kept.folder.exists()


def test_delivering_again_changes_nothing(kept: Undelivered, run_id: str, client: MlflowClient, tmp_path: Path):
    copy = kept.folder.rename(tmp_path / "copy")
    (tmp_path / "again").mkdir()
    subprocess.run(["cp", "-r", copy, tmp_path / "again"], check=True)
    deliver(copy)
    before = client.get_run(run_id).info.end_time
    assert deliver(tmp_path / "again" / "copy").points == 6
    assert history(client, run_id) == COMPLETE
    assert client.get_run(run_id).info.end_time == before


def test_more_points_than_fit_into_one_request_arrive(workplace: Workplace, run_id: str, client: MlflowClient):
    undelivered = Undelivered(workplace.uri, run_id, "1")
    undelivered.add_points([Points({"loss": float(step), "a": 0.0, "b": 0.0}, step, step) for step in range(1, 701)])
    assert deliver(undelivered.folder).points == 2_100
    assert [step for step, *_ in history(client, run_id)] == list(range(1, 701))


@pytest.mark.parametrize("removed", [1, 20, 60])
def test_a_truncated_last_line_is_skipped(kept: Undelivered, run_id: str, client: MlflowClient, removed: int):
    file = kept.folder / "points.jsonl"
    file.write_bytes(file.read_bytes()[: -1 - removed])
    deliver(kept.folder)
    assert history(client, run_id) == COMPLETE[:2]


def test_points_after_a_truncated_line_are_read(kept: Undelivered, run_id: str, client: MlflowClient):
    file = kept.folder / "points.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    kept.add_points([Points({"loss": 0.25}, 4, 1_004)])
    deliver(kept.folder)
    assert history(client, run_id) == [*COMPLETE[:2], (4, 0.25, 1_004)]


def test_a_run_that_failed_becomes_failed(kept: Undelivered, run_id: str, client: MlflowClient):
    kept.set_status("FAILED")
    assert deliver(kept.folder).message == f"delivered 6 points and 2 files to run {run_id}"
    assert client.get_run(run_id).info.status == "FAILED"


def test_a_run_that_has_ended_keeps_its_status(kept: Undelivered, run_id: str, client: MlflowClient):
    client.set_terminated(run_id, "FINISHED")
    deliver(kept.folder)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert history(client, run_id) == COMPLETE


def test_a_run_that_was_finished_since_keeps_its_newer_files(
    kept: Undelivered, run_id: str, client: MlflowClient, tmp_path: Path
):
    client.log_text(run_id, "better weights", "model/model.keras")
    client.set_terminated(run_id, "FINISHED")
    assert deliver(kept.folder).message == (
        f"delivered 6 points and 0 files to run {run_id}; 2 older files were removed, because the run has been "
        "finished since"
    )
    model = Path(client.download_artifacts(run_id, "model", str(tmp_path)))
    assert [(file.name, file.read_text()) for file in model.iterdir()] == [("model.keras", "better weights")]
    assert not kept.folder.exists()


def test_files_that_a_killed_process_kept_only_in_part_are_not_delivered(
    kept: Undelivered, run_id: str, client: MlflowClient
):
    part = kept.artifacts / ".part-checkpoint"
    part.mkdir()
    (part / "00002.json").write_text("{")
    assert deliver(kept.folder).files == 2
    assert [file.path for file in client.list_artifacts(run_id)] == ["model"]


def test_a_folder_that_is_kept_again_replaces_the_earlier_one(kept: Undelivered, tmp_path: Path):
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "model.keras").write_text("newer weights")
    kept.add_artifact(newer, "model")
    assert [(file.name, file.read_text()) for file in kept_files(kept.folder)] == [("model.keras", "newer weights")]


def write_run(kept: Undelivered, **changes: Any) -> None:
    file = kept.folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"run\.json cannot be read .* expected a folder .undelivered/RUN_ID that a training has left behind"),
        ("", "run.json is damaged .* expected a folder"),
        ("[1]", "run.json is damaged"),
        ('{"uri": "sqlite:///x.db"}', "run.json is damaged"),
    ],
)
def test_another_folder_is_refused(kept: Undelivered, content: str | None, sentence: str):
    (kept.folder / "run.json").unlink()
    if content is not None:
        (kept.folder / "run.json").write_text(content)
    with pytest.raises(StoreError, match=sentence):
        deliver(kept.folder)
    assert (kept.folder / "points.jsonl").exists()


def test_a_status_that_no_training_leaves_is_refused(kept: Undelivered):
    write_run(kept, status="FINISHED")
    with pytest.raises(StoreError, match="names the status FINISHED; expected KILLED or FAILED"):
        deliver(kept.folder)


def test_a_deleted_run_is_named_with_the_command_that_restores_it(kept: Undelivered, run_id: str, client: MlflowClient):
    client.delete_run(run_id)
    with pytest.raises(
        StoreError, match=f"run {run_id} was deleted; restore it with .*mlflow runs restore --run-id {run_id}"
    ):
        deliver(kept.folder)
    assert kept.exists


def test_a_run_of_another_store_is_named(kept: Undelivered):
    write_run(kept, run_id="0" * 32)
    with pytest.raises(StoreError, match=f"has no run {'0' * 32}; set tracking.uri to its store"):
        deliver(kept.folder)


def test_a_store_that_does_not_answer_leaves_the_folder_as_it_was(kept: Undelivered):
    with pytest.raises(StoreError, match="does not answer"):
        deliver(kept.folder, "http://127.0.0.1:1")
    assert len((kept.folder / "points.jsonl").read_text().splitlines()) == 3


def test_a_password_is_not_kept_and_the_address_is_asked_for(workplace: Workplace):
    undelivered = Undelivered("http://ada:hunter22@127.0.0.1:1", "x", "1")
    undelivered.folder = workplace.folder / ".undelivered" / "x"
    undelivered.add_points([Points({"loss": 1.0}, 1, 1)])
    assert "hunter22" not in (undelivered.folder / "run.json").read_text()
    with pytest.raises(StoreError, match=r"does not keep the password of its store .*: set tracking.uri"):
        deliver(undelivered.folder)


@pytest.fixture
def other_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_run_that_still_trains_is_left_to_its_process(
    kept: Undelivered, run_id: str, client: MlflowClient, other_process: subprocess.Popen[bytes]
):
    client.set_tag(run_id, PROCESS, process_name(other_process.pid))
    with pytest.raises(StoreError, match="is still training, and delivers its points itself"):
        deliver(kept.folder)
    assert client.get_run(run_id).info.status == "RUNNING"
    other_process.kill()
    other_process.wait()
    assert deliver(kept.folder).points == 6


def test_a_run_that_may_be_training_on_another_machine_is_not_ended(
    kept: Undelivered, run_id: str, client: MlflowClient
):
    client.set_tag(run_id, HOST, "elsewhere")
    client.set_tag(run_id, PROCESS, "another process")
    with pytest.raises(StoreError, match=r"still RUNNING on elsewhere.* repeat .*src\.doctor hosts=all fix=true"):
        deliver(kept.folder)
    assert client.get_run(run_id).info.status == "RUNNING"
    client.set_terminated(run_id, "KILLED")  # the command in the message does so
    assert deliver(kept.folder).points == 6


def test_an_address_may_be_given(kept: Undelivered, workplace: Workplace, run_id: str, client: MlflowClient):
    write_run(kept, uri="http://ada:***@127.0.0.1:1")
    assert deliver(kept.folder, workplace.uri).run_id == run_id
    assert history(client, run_id) == COMPLETE


def test_a_relative_address_is_kept_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    undelivered = Undelivered("sqlite:///mlflow.db", "x", "1")
    undelivered.add_points([Points({"loss": 1.0}, 1, int(time.time()))])
    assert json.loads((undelivered.folder / "run.json").read_text())["uri"] == f"sqlite:///{tmp_path}/mlflow.db"
    assert undelivered.command == f"python -m src.doctor sync={tmp_path}/.undelivered/x"
