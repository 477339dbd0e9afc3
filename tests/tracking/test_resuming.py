"""Runs that are taken over after an interruption."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from src.errors import StoreError
from src.process.interrupt import Interrupted
from src.tracking import Store, open_store, start_run
from src.tracking.resuming import alone, interrupted_runs, take_over
from src.tracking.tags import PLANNED, STUDY_ID
from src.tracking.undelivered import Points, Undelivered
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace


def test_points_that_were_not_delivered_arrive_once_and_those_of_the_history_are_not_added(
    workplace: Workplace,
) -> None:
    config = config_for(workplace.uri)
    run_id = ""
    try:
        with new_run(config) as run:
            run_id = str(run.run_id)
            run.log_epoch(1, {"loss": 0.5})
            run.flush()
            raise Interrupted(15)
    except Interrupted:
        pass
    kept = Undelivered(workplace.uri, run_id, run.experiment_id)
    kept.add_points([Points({"loss": 0.25}, 2, 1_000), Points({"loss": 0.125}, 3, 2_000)])
    store = open_store(config.tracking, print)
    again = take_over(store, run_id, {})
    again.log_history({"loss": [0.5, 0.25]})
    again.log_epoch(3, {"loss": 0.125})
    again.log_epoch(4, {"loss": 0.0625})
    again.flush()
    assert store.client is not None
    points = store.client.get_metric_history(run_id, "loss")
    assert sorted((point.step, point.value) for point in points) == [(1, 0.5), (2, 0.25), (3, 0.125), (4, 0.0625)]
    assert not kept.exists


def killed_run(workplace: Workplace) -> tuple[Store, str, Undelivered]:
    """A store, the id of a killed run in it, and the folder for what the run could not deliver."""
    config = config_for(workplace.uri)
    with new_run(config) as run:
        run_id = str(run.run_id)
    store = open_store(config.tracking, print)
    assert store.client is not None
    store.client.set_terminated(run_id, "KILLED")
    return store, run_id, Undelivered(workplace.uri, run_id, run.experiment_id)


def test_the_run_of_a_trial_is_not_an_interrupted_training(workplace: Workplace) -> None:
    store, run_id, _ = killed_run(workplace)
    assert store.client is not None
    store.client.set_tag(run_id, PLANNED, "0123")
    store.client.set_tag(run_id, "trial", "0")  # a tag that a user may set too
    assert interrupted_runs(store, "0123", None) == [run_id]
    store.client.set_tag(run_id, STUDY_ID, "4567")
    assert interrupted_runs(store, "0123", None) == []


def test_points_that_were_not_delivered_arrive_without_new_ones(workplace: Workplace) -> None:
    store, run_id, kept = killed_run(workplace)
    kept.add_points([Points({"loss": 0.25}, 1, 1_000)])
    take_over(store, run_id, {}).flush()
    assert store.client is not None
    assert [point.value for point in store.client.get_metric_history(run_id, "loss")] == [0.25]


def test_files_that_were_not_delivered_arrive_before_the_training_writes_newer_ones(
    workplace: Workplace, tmp_path: Path
) -> None:
    store, run_id, kept = killed_run(workplace)
    file = tmp_path / "model.keras"
    file.write_text("weights")
    kept.add_artifact(file, "model/model.keras")
    again = take_over(store, run_id, {})
    with again.reading("model/model.keras") as delivered:
        assert delivered.read_text() == "weights"
    assert not kept.folder.exists()


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_a_run_whose_files_cannot_be_delivered_stays_as_it_is_and_the_error_names_their_folder(
    status: str, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run_id, kept = killed_run(workplace)
    assert store.client is not None
    store.client.set_terminated(run_id, status)
    before = store.client.get_run(run_id).to_dictionary()
    (tmp_path / "notes.txt").write_text("kept")
    kept.add_artifact(tmp_path / "notes.txt", "notes.txt")

    def refuse(*arguments: object) -> None:
        raise MlflowException("too large for the proxy")

    config = config_for(workplace.uri)
    with monkeypatch.context() as patch:
        patch.setattr("src.tracking.undelivered.send_files", refuse)
        with pytest.raises(StoreError, match="too large") as failed, start_run(store, config, run_id=run_id):
            pass
    assert failed.value.__notes__ == [kept.advice]
    assert store.client.get_run(run_id).to_dictionary() == before
    take_over(store, run_id, {})
    assert not kept.folder.exists()


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_run_on_a_server_is_changed_from_a_folder_that_cannot_be_written(
    is_writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr("os.access", lambda folder, mode: is_writable)
    monkeypatch.chdir(tmp_path)
    with alone("http://127.0.0.1:1", "0123"):
        assert (tmp_path / ".0123.lock").exists() == is_writable
        assert (temporary / ".0123.lock").exists() != is_writable
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
