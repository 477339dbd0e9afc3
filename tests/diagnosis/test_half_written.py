"""Half-written files of killed processes, in runs and next to the store."""

from pathlib import Path

import pytest

from src.diagnosis.half_written import find_half_written_files
from src.tracking.process import process_name
from tests.support.patients import Patient, age, repair_all

PLACES = [".part-predictions.csv", ".weights/.part-x.keras", "mlartifacts/.part-x"]


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("so far")
    return path


def test_half_written_artifacts_of_an_ended_run_are_removed_and_its_others_stay(patient: Patient, run_id: str) -> None:
    folder = patient.artifacts(run_id)
    before = sorted(folder.rglob("*"))
    put(folder / ".part-model" / ".part-model.keras")
    age(folder / ".part-model")
    (folder / "figures").mkdir()
    age(put(folder / "figures" / ".part-curves.png"))
    found = list(find_half_written_files(patient.case()))
    assert [Path(finding.subject).name for finding in found] == [".part-model", ".part-curves.png"]
    assert [finding.size for finding in found] == [6, 6]
    repair_all(found)
    assert sorted(folder.rglob("*")) == sorted([*before, folder / "figures"])


@pytest.mark.parametrize("place", PLACES)
def test_half_written_files_next_to_the_store_are_removed(patient: Patient, place: str) -> None:
    file = age(put(patient.folder / place))
    repair_all(list(find_half_written_files(patient.case())))
    assert not file.exists()


@pytest.mark.parametrize("place", [*PLACES, "run"])
def test_a_file_that_a_process_may_be_writing_stays(patient: Patient, run_id: str, place: str) -> None:
    put(patient.artifacts(run_id) / ".part-x" if place == "run" else patient.folder / place)
    assert list(find_half_written_files(patient.case())) == []


def test_files_of_a_run_that_is_running_stay(patient: Patient) -> None:
    age(put(patient.artifacts(patient.begin(process_name())) / ".part-x"))
    assert list(find_half_written_files(patient.case())) == []
