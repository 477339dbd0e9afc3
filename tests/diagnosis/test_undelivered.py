"""Points and files that were not delivered, and weights that no run could keep."""

from pathlib import Path

import pytest

from src.diagnosis.undelivered import find_rescued_weights, find_undelivered
from src.tracking import Undelivered
from src.tracking.process import process_name
from src.tracking.undelivered import Points
from tests.support.patients import Patient, age, repair_all

STEP = Points({"loss": 1.0, "accuracy": 0.5}, 1, 1)


def keep(patient: Patient, run_id: str, *, points: int = 0, files: int = 0, uri: str = "") -> Path:
    """What a training keeps for a store that does not answer."""
    kept = Undelivered(uri or patient.uri, run_id, "1")
    if points:
        kept.add_points([STEP] * (points // 2))
    if files:
        made = patient.folder / "made" / "figures"
        made.mkdir(parents=True)
        for number in range(files):
            (made / f"{number}.png").touch()
        kept.add_artifact(made, "figures")
    return kept.folder


@pytest.mark.parametrize(
    ("points", "files", "content"),
    [
        (2, 0, "keeps 2 points that"),
        (0, 1, "keeps 1 file that"),
        (0, 3, "keeps 3 files that"),
        (4, 1, "keeps 4 points and 1 file that"),
    ],
)
def test_a_folder_is_reported_with_its_content(
    patient: Patient, gone: str, points: int, files: int, content: str
) -> None:
    folder = keep(patient, patient.begin(gone), points=points, files=files)
    (finding,) = find_undelivered(patient.case())
    assert (finding.subject, finding.is_fault, finding.repair) == (str(folder), True, None)
    assert finding.problem == f"{content} the store did not get"


@pytest.mark.parametrize("place", ["store", "working folder"])
def test_the_advice_is_the_command_that_delivers(
    patient: Patient, gone: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = keep(patient, patient.begin(gone), points=2)
    if place == "working folder":
        folder = folder.parent.rename(tmp_path / ".undelivered") / folder.name
    (finding,) = find_undelivered(patient.case())
    assert finding.advice.splitlines()[-1] == f"python -m src.doctor sync={folder}"


def test_a_folder_in_which_a_killed_process_has_kept_nothing_is_removed(patient: Patient, gone: str) -> None:
    folder = patient.folder / ".undelivered" / patient.begin(gone)
    folder.mkdir(parents=True)
    (folder / ".part-run.json").write_text("{")
    assert list(find_undelivered(patient.case())) == []  # a process may be writing it
    age(folder)
    repair_all(list(find_undelivered(patient.case())))
    assert not folder.exists()


@pytest.mark.parametrize("status", ["RUNNING", "KILLED"])  # the second one by a machine that cannot see the process
def test_what_a_living_training_keeps_is_not_reported(patient: Patient, status: str) -> None:
    run_id = patient.begin(process_name())
    if status == "KILLED":
        patient.client.set_terminated(run_id, status)
    keep(patient, run_id, points=2)
    assert list(find_undelivered(patient.case())) == []


@pytest.mark.parametrize(
    ("names_store", "is_in_store", "is_reported"),
    [(True, True, True), (False, True, True), (True, False, True), (False, False, False)],
)
def test_what_is_kept_for_another_store_in_the_same_folder_is_not_reported(
    patient: Patient, gone: str, names_store: bool, is_in_store: bool, is_reported: bool
) -> None:
    run_id = patient.begin(gone) if is_in_store else "0123456789abcdef" * 2
    folder = keep(patient, run_id, points=2, uri="" if names_store else f"sqlite:///{patient.folder}/other.db")
    assert folder.parent == patient.folder / ".undelivered"
    assert [finding.subject for finding in find_undelivered(patient.case())] == [str(folder)] * is_reported


def test_rescued_weights_are_information(patient: Patient) -> None:
    file = patient.folder / ".weights" / "0123.keras"
    file.parent.mkdir()
    file.write_text("weights")
    (finding,) = find_rescued_weights(patient.case())
    assert (finding.is_fault, finding.repair, finding.size) == (False, None, 7)
    assert f"training.initial_weights={file}" in finding.advice
