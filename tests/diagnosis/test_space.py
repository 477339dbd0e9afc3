"""What takes space: the cache, rescued weights; and points that were not delivered."""

from pathlib import Path

import pytest
from filelock import FileLock

from src.datasets import remove_cached
from src.diagnosis.cache import find_cached_images
from src.diagnosis.killed_runs import find_killed_runs
from src.diagnosis.undelivered import find_rescued_weights, find_undelivered
from src.errors import DataError
from src.links import resume_command
from src.tracking.process import process_name
from tests.support.patients import Patient, repair_all

KEY = "0123456789abcdef" * 2


@pytest.fixture
def cached(patient: Patient) -> Path:
    folder = patient.folder / "cache" / KEY
    folder.mkdir(parents=True)
    (folder / "images.npy").write_bytes(bytes(1000))
    return folder


def test_cached_images_are_information_that_only_cleaning_removes(patient: Patient, cached: Path) -> None:
    (finding,) = find_cached_images(patient.case())
    assert (finding.is_fault, finding.size, finding.subject) == (False, 1000, str(cached.parent))
    assert finding.repair is not None
    assert finding.repair.is_cleaning
    repair_all([finding])
    assert not cached.exists()


def test_images_that_a_process_is_decoding_stay(patient: Patient, cached: Path) -> None:
    with FileLock(cached.with_name(f".{cached.name}.lock")), pytest.raises(DataError, match="is writing"):
        remove_cached(cached)
    assert cached.exists()


@pytest.mark.parametrize("name", ["mine", KEY[:-1], f"{KEY}0", "notes.txt"])
def test_other_folders_in_the_cache_are_not_touched(patient: Patient, name: str) -> None:
    (patient.folder / "cache" / name).mkdir(parents=True)
    assert list(find_cached_images(patient.case())) == []


@pytest.mark.parametrize("place", ["store", "working folder"])
def test_points_that_were_not_delivered_have_the_command_that_delivers_them(
    patient: Patient, gone: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = patient.folder if place == "store" else tmp_path
    folder = root / ".undelivered" / patient.begin(gone)
    folder.mkdir(parents=True)
    (finding,) = find_undelivered(patient.case())
    assert finding.is_fault
    assert finding.advice == f"python -m src.doctor sync={folder} delivers them"


def test_points_that_a_training_still_sends_are_not_a_finding(patient: Patient) -> None:
    (patient.folder / ".undelivered" / patient.begin(process_name())).mkdir(parents=True)
    assert list(find_undelivered(patient.case())) == []


def test_rescued_weights_are_information(patient: Patient) -> None:
    file = patient.folder / ".weights" / "0123.keras"
    file.parent.mkdir()
    file.write_text("weights")
    (finding,) = find_rescued_weights(patient.case())
    assert (finding.is_fault, finding.repair, finding.size) == (False, None, 7)
    assert f"training.initial_weights={file}" in finding.advice


def test_stopped_runs_are_information_with_the_command_that_resumes_them(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone)
    patient.client.set_terminated(run_id, "KILLED")
    patient.client.set_terminated(patient.begin(gone, **patient.study_id.tags_of_trial(3)), "KILLED")
    (finding,) = find_killed_runs(patient.case())
    assert (run_id in finding.subject, finding.is_fault) == (True, False)
    assert finding.advice == f"{resume_command(patient.case().store.uri, run_id)} resumes it"
