"""Checkpoints: damaged, not needed, or kept for a training that can be resumed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.diagnosis import Finding
from src.diagnosis.checkpoints import find_checkpoints
from src.errors import StoreError
from src.tracking.process import process_name
from src.tracking.tags import PROCESS
from tests.support.patients import Patient, age, repair_all


def killed(patient: Patient, gone: str) -> str:
    run_id = patient.begin(gone)
    patient.client.set_terminated(run_id, "KILLED")
    return run_id


def faults(patient: Patient) -> list[Finding]:
    return [finding for finding in find_checkpoints(patient.case()) if finding.is_fault]


@pytest.mark.parametrize("end", ["FINISHED", "deleted"])
def test_checkpoints_that_no_run_needs_are_removed(patient: Patient, gone: str, end: str) -> None:
    run_id = patient.begin(gone)
    if end == "deleted":
        patient.client.set_terminated(run_id, "KILLED")
        patient.client.delete_run(run_id)
    else:
        patient.client.set_terminated(run_id, end)
    folder = patient.checkpoint(run_id).parent
    (finding,) = find_checkpoints(patient.case())
    assert finding.is_fault
    assert finding.size > 800
    repair_all([finding])
    assert not folder.exists()


@pytest.mark.parametrize("key", ["0" * 32, "trial-0123abcd-4"])
def test_checkpoints_of_another_store_in_a_shared_folder_are_never_removed(patient: Patient, key: str) -> None:
    manifest = patient.checkpoint(key)
    manifest.write_text("{")  # that store's doctor says so
    (finding,) = find_checkpoints(patient.case())
    assert not finding.is_fault
    assert finding.repair is None
    assert "is not in this store" in finding.problem


@pytest.mark.parametrize("status", ["KILLED", "FAILED", "RUNNING"])
def test_checkpoints_of_a_killed_run_are_information_that_only_cleaning_removes(
    patient: Patient, gone: str, status: str
) -> None:
    run_id = killed(patient, gone) if status == "KILLED" else patient.begin(gone)
    if status == "FAILED":
        patient.client.set_terminated(run_id, status)
    patient.checkpoint(run_id, epoch=5)
    patient.checkpoint(run_id, epoch=10)
    (finding,) = find_checkpoints(patient.case())
    assert not finding.is_fault
    assert finding.repair is not None
    assert finding.repair.is_cleaning
    assert f"python -m src.train resume={run_id}" in finding.advice
    repair_all([finding])
    assert list(find_checkpoints(patient.case())) == []


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_checkpoints_of_a_run_that_may_be_running_are_not_looked_at(patient: Patient, gone: str, host: str) -> None:
    manifest = patient.checkpoint(patient.begin(gone if host else process_name(), host))
    manifest.write_text("{")
    (manifest.parent / "left.npy").touch()
    assert list(find_checkpoints(patient.case())) == []


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut", "changed", "missing"])
def test_a_checkpoint_whose_files_differ_from_its_manifest_is_removed_and_an_earlier_one_stays(
    patient: Patient, gone: str, damage: Callable[[Path], object]
) -> None:
    run_id = killed(patient, gone)
    good, bad = patient.checkpoint(run_id, epoch=5), patient.checkpoint(run_id, epoch=10)
    damage(bad.with_name("variables-00010.npy"))
    repair_all(faults(patient))
    assert sorted(path.name for path in good.parent.iterdir()) == ["00005.json", "variables-00005.npy"]
    assert faults(patient) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"files": 3}', '{"files": {"a": {}}}', '{"files": {"../x": {"size": 1, "sha256": ""}}}'],
)
def test_a_manifest_that_cannot_be_read_is_a_fault(patient: Patient, gone: str, text: str) -> None:
    manifest = patient.checkpoint(killed(patient, gone))
    manifest.write_text(text)
    assert {Path(finding.subject).name for finding in faults(patient)} == {"00005.json", "variables-00005.npy"}


@pytest.mark.parametrize("name", ["variables-00010.npy", ".part-00010.json", ".part-variables-00010.npy"])
def test_what_no_manifest_names_is_removed(patient: Patient, gone: str, name: str) -> None:
    manifest = patient.checkpoint(killed(patient, gone))
    (manifest.parent / name).write_text("so far")
    (finding,) = faults(patient)
    repair_all([finding])
    assert sorted(path.name for path in manifest.parent.iterdir()) == ["00005.json", "variables-00005.npy"]


def test_checkpoints_of_a_run_that_is_resumed_meanwhile_are_not_removed(patient: Patient, gone: str) -> None:
    run_id = killed(patient, gone)
    manifest = patient.checkpoint(run_id)
    (manifest.parent / "variables-00010.npy").touch()
    found = list(find_checkpoints(patient.case()))
    patient.client.set_tag(run_id, PROCESS, process_name())
    patient.client.update_run(run_id, "RUNNING")
    for finding in found:
        with pytest.raises(StoreError, match="uses the checkpoint again"):
            repair_all([finding])
    assert len(list(manifest.parent.iterdir())) == 3


def test_an_unfinished_folder_of_a_checkpoint_is_removed(patient: Patient) -> None:
    folder = patient.folder / "checkpoints" / ".part-x"
    folder.mkdir(parents=True)
    assert faults(patient) == []  # a process may be writing it
    age(folder)
    repair_all(faults(patient))
    assert not folder.exists()


def test_checkpoints_may_be_in_another_folder(patient: Patient, gone: str) -> None:
    manifest = patient.checkpoint(killed(patient, gone))
    other = patient.folder / "elsewhere"
    (patient.folder / "checkpoints").rename(other)
    assert list(find_checkpoints(patient.case())) == []
    (finding,) = find_checkpoints(patient.case(f"checkpoint_dir='{other}'"))
    assert finding.subject == str(other / manifest.parent.name)


def test_other_files_in_the_folder_are_not_touched(patient: Patient) -> None:
    folder = patient.folder / "checkpoints" / "mine"
    folder.mkdir(parents=True)
    (folder.parent / "notes.txt").touch()
    assert list(find_checkpoints(patient.case())) == []


# --- trials -----------------------------------------------------------------------------------------------------------


def test_checkpoints_of_a_trial_follow_its_repetitions(patient: Patient) -> None:
    first = patient.claim("first")
    key = f"trial-{patient.study_id.unique}-{first.number}"
    folder = patient.checkpoint(key).parent
    (dead,) = find_checkpoints(patient.case())  # its worker is dead, and the trial will be repeated
    assert (dead.is_fault, "which continues the trial" in dead.advice) == (False, True)

    patient.claims.interrupt(first, "first", "no")
    (interrupted,) = find_checkpoints(patient.case())
    assert not interrupted.is_fault

    with patient.claims.alive("second"):
        again = patient.claim("second")
        assert again.user_attrs["retry_of"] == first.number
        assert list(find_checkpoints(patient.case())) == []  # a worker uses them
        patient.claims.complete(again, "second", 0.5, {})
    (ended,) = find_checkpoints(patient.case())
    assert ended.is_fault
    repair_all([ended])
    assert not folder.exists()


@pytest.mark.parametrize("end", ["complete", "prune", "fail"])
def test_checkpoints_of_a_trial_that_has_ended_are_removed(patient: Patient, end: str) -> None:
    with patient.claims.alive("worker"):
        trial = patient.claim("worker")
        given: dict[str, list[object]] = {"complete": [0.5], "prune": [], "fail": ["no"]}
        getattr(patient.claims, end)(trial, "worker", *given[end], {})
    patient.checkpoint(f"trial-{patient.study_id.unique}-{trial.number}")
    (finding,) = faults(patient)
    assert "nothing needs" in finding.problem


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_checkpoints_of_a_study_in_another_storage_are_in_use_while_a_run_of_it_may_be_running(
    patient: Patient, gone: str, host: str
) -> None:
    patient.checkpoint("trial-0123abcd-4")
    tags = {"convlab.study_id": "0123abcd", "trial": "7"}
    patient.client.set_terminated(patient.begin(gone, **tags), "KILLED")
    (finding,) = find_checkpoints(patient.case())
    assert not finding.is_fault
    patient.begin(gone if host else process_name(), host, **tags)
    assert list(find_checkpoints(patient.case())) == []
