"""Finished runs that are reused instead of being trained again: those with the same settings, code and data."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from src.errors import StoreError
from src.results import TrainResult
from src.schema import Config
from src.tracking import FINGERPRINT, fingerprint, finished_result, open_store, provenance, recorded_result
from src.train import train
from tests.support.configs import composed
from tests.support.workplace import ROOT, Workplace, copy_of

SMALL = ["dataset=synthetic", "training.epochs=2", "tracking.detail=light"]


def config(*overrides: str) -> Config:
    made: Config = composed(*SMALL, *overrides)
    return made


def train_here(workplace: Workplace, *overrides: str, **arguments: Any):
    return train(config(f"tracking.uri='{workplace.uri}'", "tracking.on_duplicate=reuse", *overrides), **arguments)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, TrainResult]:
    workplace = Workplace(tmp_path_factory.mktemp("reused"))
    return workplace, train_here(workplace)


@pytest.fixture
def workplace(trained_once: tuple[Workplace, TrainResult], tmp_path: Path) -> Workplace:
    """A store of the test's own with one finished run in it."""
    return copy_of(trained_once[0], tmp_path / "copied")


@pytest.fixture
def first(trained_once: tuple[Workplace, TrainResult]) -> TrainResult:
    return trained_once[1]


def runs(workplace: Workplace) -> int:
    return len(MlflowClient(workplace.uri).search_runs(["1"]))


def test_a_finished_run_of_the_same_settings_code_and_data_is_taken_with_all_that_it_gave(
    workplace: Workplace, first: TrainResult
):
    assert train_here(workplace, "tracking.run_name=again", "tags.note=again") == first
    assert runs(workplace) == 1


def test_without_being_asked_for_nothing_is_reused(workplace: Workplace, first: TrainResult):
    assert train_here(workplace, "tracking.on_duplicate=train").run_id != first.run_id


@pytest.mark.services
@pytest.mark.parametrize("status", ["FAILED", "RUNNING"])
def test_a_run_that_did_not_finish_is_trained_again(workplace: Workplace, first: TrainResult, status: str):
    MlflowClient(workplace.uri).set_terminated(str(first.run_id), status)
    assert train_here(workplace).run_id != first.run_id


@pytest.mark.services
def test_an_interrupted_run_is_continued(workplace: Workplace, first: TrainResult):
    MlflowClient(workplace.uri).set_terminated(str(first.run_id), "KILLED")
    assert train_here(workplace).run_id == first.run_id
    assert MlflowClient(workplace.uri).get_run(str(first.run_id)).info.status == "FINISHED"


@pytest.mark.services
def test_a_deleted_run_is_trained_again(workplace: Workplace, first: TrainResult):
    MlflowClient(workplace.uri).delete_run(str(first.run_id))
    assert train_here(workplace).run_id != first.run_id


@pytest.mark.services
def test_a_run_whose_files_are_gone_is_trained_again(workplace: Workplace, first: TrainResult):
    shutil.rmtree(workplace.folder / "mlartifacts" / str(first.run_id) / "artifacts" / "model")
    again = train_here(workplace)
    assert again.run_id != first.run_id
    assert train_here(workplace) == again


@pytest.mark.services
def test_a_run_that_an_observer_ended_is_not_taken_for_a_whole_one(workplace: Workplace):
    ended = train_here(workplace, "seed=5", observers=[lambda epoch, logs: True])
    assert ended.stopped == "observer"
    assert train_here(workplace, "seed=5").run_id != ended.run_id


@pytest.mark.services
def test_a_run_whose_model_was_not_worth_keeping_is_not_taken_for_one_with_a_model(workplace: Workplace):
    bare = train_here(workplace, "seed=6", worth_keeping=lambda metrics: False)
    assert train_here(workplace, "seed=6").run_id != bare.run_id


def test_a_metric_that_somebody_added_does_not_belong_to_the_training(workplace: Workplace, first: TrainResult):
    MlflowClient(workplace.uri).log_metric(str(first.run_id), "approved", 1.0)
    assert train_here(workplace) == first


@pytest.mark.services
def test_the_history_of_a_single_epoch_has_neither_best_metrics_nor_added_ones(workplace: Workplace):
    once = train_here(workplace, "seed=7", "training.epochs=1")
    MlflowClient(workplace.uri).log_metric(str(once.run_id), "approved", 1.0)
    MlflowClient(workplace.uri).log_metric(str(once.run_id), "tta_test_accuracy", 1.0, step=1)  # as src.evaluate does
    again = train_here(workplace, "seed=7", "training.epochs=1")
    assert again == once
    assert not {"best_val_accuracy", "best_val_loss", "best_epoch", "approved"} & {*again.history, *again.metrics}


def test_a_run_of_an_earlier_version_without_the_prefix_in_its_tags_is_reused_too(
    workplace: Workplace, first: TrainResult
):
    with contextlib.closing(sqlite3.connect(workplace.folder / "mlflow.db")) as database, database:
        database.execute("DELETE FROM tags WHERE key = 'convlab.host'")  # there was only `host`
        renamed = database.execute("UPDATE tags SET key = replace(key, 'convlab.', '') WHERE key LIKE 'convlab.%'")
        assert renamed.rowcount >= 2
        assert not database.execute("SELECT key FROM tags WHERE key LIKE 'convlab.%'").fetchall()
    assert train_here(workplace) == first


UNREADABLE = [
    "DELETE FROM params WHERE key = 'resolved.best_epoch'",
    "DELETE FROM params",
    "DELETE FROM metrics",
    "DELETE FROM metrics WHERE key = 'loss'",
]
INCOMPLETE = [  # what those that reuse a run read from it besides
    *(f"DELETE FROM params WHERE key = 'resolved.{name}'" for name in ("parameters", "data_digest", "test_images")),
    *(f"DELETE FROM metrics WHERE key = '{name}'" for name in ("epoch_seconds", "val_accuracy", "test_accuracy")),
]


def damage_store(workplace: Workplace, damage: str) -> None:
    with contextlib.closing(sqlite3.connect(workplace.folder / "mlflow.db")) as database, database:
        assert database.execute(damage).rowcount


@pytest.mark.parametrize("damage", [*UNREADABLE, *INCOMPLETE])
def test_a_run_with_an_incomplete_record_is_not_reused(workplace: Workplace, damage: str):
    damage_store(workplace, damage)
    tracking = config(f"tracking.uri='{workplace.uri}'").tracking
    assert finished_result(open_store(tracking), recorded_fingerprint(workplace), []) is None


@pytest.mark.parametrize("damage", UNREADABLE)
def test_the_result_of_a_run_without_its_best_epoch_is_refused(workplace: Workplace, first: TrainResult, damage: str):
    damage_store(workplace, damage)
    tracking = config(f"tracking.uri='{workplace.uri}'").tracking
    with pytest.raises(StoreError, match=f"^run {first.run_id} has no metrics of its best epoch"):
        recorded_result(tracking, str(first.run_id))


def recorded_fingerprint(workplace: Workplace) -> str:
    (run,) = MlflowClient(workplace.uri).search_runs(["1"])
    return str(run.data.tags[FINGERPRINT])


def test_an_older_run_without_best_metrics_is_reused_too(workplace: Workplace, first: TrainResult):
    with contextlib.closing(sqlite3.connect(workplace.folder / "mlflow.db")) as database, database:
        for table in ("metrics", "latest_metrics"):
            assert database.execute(f"DELETE FROM {table} WHERE key LIKE 'best_%'").rowcount == 3
    assert train_here(workplace) == first


DIFFERENT = ["seed=2", "training.epochs=3", "model.dropout=0.1", "dataset.limit=100", "tracking.save_model=false"]
DIFFERENT += ["tracking.formats=[keras]"]


@pytest.mark.parametrize("change", DIFFERENT)
def test_another_setting_is_another_run(change: str):
    assert fingerprint(config(change), "d") != fingerprint(config(), "d")


PLACES = ["tracking.run_name=x", "tags.a=b", "tracking.experiment=y"]


@pytest.mark.parametrize("change", [*PLACES, "tracking.formats=[mlflow,keras,h5,saved_model]"])
def test_what_a_run_is_called_and_where_it_is_kept_makes_no_other_run(change: str):
    assert fingerprint(config(change), "d") == fingerprint(config(), "d")


def test_images_in_another_folder_are_the_same_run_but_another_given_name_is_not():
    folder = ["dataset=image_folder", "dataset.folder=/home/ada/cats"]
    before = fingerprint(config(*folder), "d")
    assert fingerprint(config(*folder, "dataset.folder=/mnt/pets/train"), "d") == before
    assert fingerprint(config(*folder, "dataset.name=owls"), "d") != before


def test_other_data_is_another_run():
    assert fingerprint(config(), "e") != fingerprint(config(), "d")


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of `src/`, which fingerprints are made of."""
    copy = Path(shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.result_code_digest.cache_clear()
    yield copy
    provenance.result_code_digest.cache_clear()


@pytest.mark.parametrize(
    ("file", "is_another_run"),
    [
        ("fitting/training.py", True),
        ("datasets/new.py", True),
        ("models/layers.py", True),
        ("saving/files.py", True),
        ("schema/run.py", True),
        ("train.py", True),
        ("figures/curves.py", False),
        ("console/lines.py", False),
        ("reports/run.py", False),
        ("links.py", False),
        ("ui.py", False),
    ],
)
def test_only_code_that_can_change_a_result_makes_another_run(code: Path, file: str, is_another_run: bool):
    before = fingerprint(config(), "d")
    with (code / file).open("a") as source:
        source.write("# a word\n")
    provenance.result_code_digest.cache_clear()
    assert (fingerprint(config(), "d") != before) == is_another_run


def test_other_weights_to_start_from_under_the_same_name_are_another_run(tmp_path: Path):
    weights = tmp_path / "weights.keras"
    prints = []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        prints.append(fingerprint(config(f"training.initial_weights='{weights}'"), "d"))
    assert prints[0] != prints[1]
