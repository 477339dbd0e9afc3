"""Checkpoints: damaged, not needed, or kept for a training that can be resumed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from src.checkpointing import Arrays, Checkpoint, write
from src.diagnosis import CLEAN, Finding
from src.diagnosis.case import size_of
from src.diagnosis.checkpoints import find_checkpoints
from src.errors import StoreError
from src.links import doctor_command
from src.tracking.process import process_name
from src.tracking.tags import PROCESS
from tests.support.patients import Patient, age, repair_all


def faults(patient: Patient) -> list[Finding]:
    return [finding for finding in find_checkpoints(patient.case()) if finding.is_fault]


def discard(key: str) -> list[str]:
    return [f"discard={key}"] if key else []


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
def test_cleaning_removes_all_checkpoints_of_an_interrupted_run_but_the_newest(
    patient: Patient, gone: str, status: str
) -> None:
    run_id = patient.begin(gone, status)
    older, newest = patient.checkpoint(run_id, epoch=5), patient.checkpoint(run_id, epoch=10)
    (finding,) = find_checkpoints(patient.case())
    assert finding.repair is not None
    assert (finding.is_fault, finding.repair.setting) == (False, CLEAN)
    assert finding.size == size_of(older, older.with_name("variables-00005.npy"))
    repair_all([finding])
    assert names_in(newest.parent) == ["00010.json", "variables-00010.npy"]
    (finding,) = find_checkpoints(patient.case())
    assert finding.repair is None


def test_cleaning_keeps_arrays_that_the_newest_checkpoint_shares_with_an_older_one(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    folder = patient.folder / "checkpoints" / run_id
    best = Arrays(4, [np.arange(10.0)])
    for epoch in (5, 10):
        arrays = {"variables": Arrays(epoch, [np.arange(100.0)]), "best": best}
        write(folder, Checkpoint(epoch, {}, arrays), {})
    repair_all(list(find_checkpoints(patient.case())))
    assert names_in(folder) == ["00010.json", "best-00004.npy", "variables-00010.npy"]
    assert faults(patient) == []


def test_cleaning_keeps_the_newest_complete_checkpoint_if_a_newer_one_is_damaged(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    for epoch in (5, 10, 15):
        manifest = patient.checkpoint(run_id, epoch)
    cut(manifest.with_name("variables-00015.npy"))
    repair_all([finding for finding in find_checkpoints(patient.case()) if not finding.is_fault])
    assert "00010.json" in names_in(manifest.parent)
    assert patient.case().last_checkpoint(patient.run_record(run_id)) == (10, None)


@pytest.mark.parametrize("status", ["KILLED", "FAILED", "RUNNING", "FINISHED"])
def test_all_checkpoints_of_a_run_are_removed_if_the_user_names_it(patient: Patient, gone: str, status: str) -> None:
    named, other = patient.begin(gone, status), patient.begin(gone, "KILLED")
    for epoch in (5, 10):
        patient.checkpoint(named, epoch)
        kept = patient.checkpoint(other, epoch).parent
    found = list(find_checkpoints(patient.case(f"discard={named}")))
    repair_all([finding for finding in found if finding.repair and finding.repair.setting == f"discard={named}"])
    assert (names_in(kept.parent), len(names_in(kept))) == ([other], 4)


def test_the_advice_names_the_command_that_removes_the_newest_checkpoint(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    patient.checkpoint(run_id)
    (finding,) = find_checkpoints(patient.case())
    assert finding.advice.splitlines()[-1] == doctor_command(patient.uri, f"discard={run_id}")


@pytest.mark.parametrize("owner", ["a living training", "another store"])
def test_checkpoints_that_are_named_and_cannot_be_removed_are_a_fault(patient: Patient, owner: str) -> None:
    key = patient.begin(process_name()) if owner == "a living training" else "0" * 32
    patient.checkpoint(key)
    (finding,) = find_checkpoints(patient.case(f"discard={key}"))
    assert (finding.is_fault, finding.repair) == (True, None)


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_checkpoints_of_a_run_that_may_be_running_are_not_looked_at(patient: Patient, gone: str, host: str) -> None:
    manifest = patient.checkpoint(patient.begin(gone if host else process_name(), host=host))
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
    run_id = patient.begin(gone, "KILLED")
    good, bad = patient.checkpoint(run_id, epoch=5), patient.checkpoint(run_id, epoch=10)
    damage(bad.with_name("variables-00010.npy"))
    age(good.parent)
    repair_all(faults(patient))
    assert names_in(good.parent) == ["00005.json", "variables-00005.npy"]
    assert faults(patient) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"files": 3}', '{"files": {"a": {}}}', '{"files": {"../x": {"size": 1, "sha256": ""}}}'],
)
def test_a_manifest_that_cannot_be_read_is_a_fault(patient: Patient, gone: str, text: str) -> None:
    manifest = patient.checkpoint(patient.begin(gone, "KILLED"))
    manifest.write_text(text)
    age(manifest.parent)
    assert {Path(finding.subject).name for finding in faults(patient)} == {"00005.json", "variables-00005.npy"}


@pytest.mark.parametrize("name", ["variables-00010.npy", ".part-00010.json", ".part-variables-00010.npy"])
def test_what_no_manifest_names_is_removed(patient: Patient, gone: str, name: str) -> None:
    manifest = patient.checkpoint(patient.begin(gone, "KILLED"))
    (manifest.parent / name).write_text("so far")
    assert faults(patient) == []  # a process may be writing it
    age(manifest.parent)
    (finding,) = faults(patient)
    repair_all([finding])
    assert names_in(manifest.parent) == ["00005.json", "variables-00005.npy"]


def test_a_damaged_checkpoint_is_not_removed_while_its_folder_changes(patient: Patient, gone: str) -> None:
    manifest = patient.checkpoint(patient.begin(gone, "KILLED"))
    cut(manifest.with_name("variables-00005.npy"))
    (finding,) = faults(patient)
    assert finding.repair is None
    assert "ten minutes" in finding.advice


@pytest.mark.parametrize("status", ["KILLED", "FAILED", "FINISHED"])
def test_checkpoints_of_a_run_that_has_ended_are_in_use_while_its_process_exists(patient: Patient, status: str) -> None:
    manifest = patient.checkpoint(patient.begin(process_name(), status))
    (manifest.parent / "variables-00010.npy").touch()
    age(manifest.parent)
    assert list(find_checkpoints(patient.case())) == []


def test_a_checkpoint_that_the_system_does_not_read_is_kept_with_all_files_that_may_belong_to_it(
    patient: Patient, gone: str
) -> None:
    manifest = patient.checkpoint(patient.begin(gone, "KILLED"))
    manifest.unlink()
    manifest.mkdir()  # reading it is an error of the system, for root too
    age(manifest.parent)
    (finding,) = find_checkpoints(patient.case())
    assert finding.is_fault
    assert finding.repair is None
    assert "cannot be read now" in finding.problem


@pytest.mark.parametrize("hidden", ["one folder", "the root"])
def test_a_folder_that_this_user_cannot_read_is_information_and_does_not_end_the_check(
    patient: Patient, gone: str, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    run_ids = [patient.begin(gone, "KILLED") for _ in range(2)]
    folder, other = (patient.checkpoint(run_id).parent for run_id in run_ids)
    unreadable = folder if hidden == "one folder" else folder.parent
    iterdir = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path == unreadable:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = {finding.subject: finding for finding in find_checkpoints(patient.case())}
    assert set(found) == ({str(folder), str(other)} if hidden == "one folder" else {str(folder.parent)})
    assert "Permission denied" in found[str(unreadable)].problem
    assert (found[str(unreadable)].is_fault, found[str(unreadable)].repair) == (False, None)


@pytest.mark.parametrize("damage", ["file", "manifest"])
def test_a_folder_with_a_damaged_checkpoint_that_the_user_names_is_removed_without_a_fault(
    patient: Patient, gone: str, damage: str
) -> None:
    run_id = patient.begin(gone, "KILLED")
    manifest = patient.checkpoint(run_id)
    cut(manifest if damage == "manifest" else manifest.with_name("variables-00005.npy"))
    (finding,) = find_checkpoints(patient.case(f"discard={run_id}"))
    assert not finding.is_fault
    repair_all([finding])
    assert not manifest.parent.exists()


def test_checkpoints_of_a_run_that_is_resumed_meanwhile_are_not_removed(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    manifest = patient.checkpoint(run_id)
    (manifest.parent / "variables-00010.npy").touch()
    age(manifest.parent)
    found = [finding for key in ("", run_id) for finding in find_checkpoints(patient.case(*discard(key)))]
    found = [finding for finding in found if finding.repair is not None]
    patient.client.set_tag(run_id, PROCESS, process_name())
    patient.client.update_run(run_id, "RUNNING")
    assert len(found) == 2
    for finding in found:
        with pytest.raises(StoreError, match="uses the checkpoints again"):
            repair_all([finding])
    assert len(names_in(manifest.parent)) == 3


def test_an_unfinished_folder_of_a_checkpoint_is_removed(patient: Patient) -> None:
    folder = patient.folder / "checkpoints" / ".part-x"
    folder.mkdir(parents=True)
    assert faults(patient) == []  # a process may be writing it
    age(folder)
    repair_all(faults(patient))
    assert not folder.exists()


def test_checkpoints_may_be_in_another_folder(patient: Patient, gone: str) -> None:
    manifest = patient.checkpoint(patient.begin(gone, "KILLED"))
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
    assert (dead.is_fault, dead.repair, f"discard={key}" in dead.advice) == (False, None, True)

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
    assert finding.problem.endswith("are not needed, because trial 2 of study search has ended")


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_checkpoints_of_a_study_in_another_storage_are_in_use_while_a_run_of_it_may_be_running(
    patient: Patient, gone: str, host: str
) -> None:
    patient.checkpoint("trial-0123abcd-4")
    tags = {"convlab.study_id": "0123abcd", "trial": "7"}
    patient.client.set_terminated(patient.begin(gone, **tags), "KILLED")
    (finding,) = find_checkpoints(patient.case())
    assert not finding.is_fault
    patient.begin(gone if host else process_name(), host=host, **tags)
    assert list(find_checkpoints(patient.case())) == []
