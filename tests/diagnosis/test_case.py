"""Facts that several checks need: which runs are alive, and how an interrupted one is resumed."""

import os
import shutil
from pathlib import Path

import pytest

from src import tracking
from src.diagnosis.case import Case, described, is_idle, size_of
from src.links import resume_art_command, resume_command
from src.tracking.process import process_name
from tests.support.patients import Patient, age


def record(case: Case, run_id: str) -> tracking.RunRecord:
    run = case.store.run(run_id)
    assert run is not None
    return run


# --- life -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "host", "life"),
    [
        ("this", "", {"alive": True, "lost": False, "may run": True}),
        ("gone", "", {"alive": False, "lost": True, "may run": False}),
        ("gone", "elsewhere", {"alive": False, "lost": False, "may run": True}),
    ],
)
def test_a_running_run_is_alive_or_lost_only_if_its_process_can_be_seen(
    patient: Patient, gone: str, process: str, host: str, life: dict[str, bool]
) -> None:
    case = patient.case()
    run = record(case, patient.begin(process_name() if process == "this" else gone, host=host))
    assert {"alive": case.is_alive(run), "lost": case.is_lost(run), "may run": case.may_run(run)} == life


def test_a_run_that_has_ended_does_not_run_although_its_process_exists(patient: Patient) -> None:
    case = patient.case()
    assert not case.may_run(record(case, patient.begin(process_name(), "FINISHED")))


def test_the_run_of_a_trial_lives_as_long_as_its_worker(patient: Patient, gone: str) -> None:
    with patient.claims.alive("worker"):
        number = patient.claim("worker").number
        case = patient.case()
        run = record(case, patient.begin(gone, **patient.study_id.tags_of_trial(number)))
        assert case.living_trials == {(patient.study_id.unique, number)}
        assert (case.is_alive(run), case.is_lost(run)) == (True, False)
    case = patient.case()
    assert (case.is_alive(run), case.is_lost(run)) == (False, True)


def test_a_run_whose_trial_is_reported_is_lost(patient: Patient, gone: str) -> None:
    case = patient.case()
    run = record(case, patient.begin(gone, host="elsewhere"))
    case.note_lost(run.run_id)
    assert (case.is_reported(run), case.is_lost(run), case.may_run(run)) == (True, True, False)


# --- resuming ---------------------------------------------------------------------------------------------------------


def advice(patient: Patient, run_id: str, *overrides: str) -> str:
    case = patient.case(*overrides)
    return case.how_to_resume(record(case, run_id))


def note_written(patient: Patient, run_id: str) -> None:
    """Record in the run that it has written a checkpoint."""
    patient.client.log_metric(run_id, tracking.WRITTEN, 0.1, step=9)


def test_a_training_is_resumed_after_its_newest_checkpoint(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    for epoch in (5, 9):
        patient.checkpoint(run_id, epoch)
    assert advice(patient, run_id) == f"to resume it after epoch 9:\n{resume_command(patient.uri, run_id)}"


def test_a_damaged_checkpoint_does_not_count(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    for epoch in (5, 9):
        manifest = patient.checkpoint(run_id, epoch)
    manifest.with_name("variables-00009.npy").write_text("short")
    assert advice(patient, run_id).startswith("to resume it after epoch 5:\n")


@pytest.mark.parametrize("command", ["dream", "style"])
def test_a_picture_is_resumed_by_the_command_that_makes_it(patient: Patient, gone: str, command: str) -> None:
    run_id = patient.begin(gone, "KILLED", **{tracking.ART: command})
    resume = resume_art_command(command, patient.uri, run_id)
    assert advice(patient, run_id) == f"to resume it from the first step:\n{resume}"
    patient.checkpoint(run_id, 40)
    assert advice(patient, run_id) == f"to resume it after step 40:\n{resume}"


def test_without_a_checkpoint_it_begins_again(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    assert advice(patient, run_id).startswith("to resume it from the first epoch, because it has no checkpoint:\n")


@pytest.mark.parametrize("loss", ["removed", "damaged", "discarded now"])
def test_a_run_whose_checkpoints_are_gone_needs_another_folder_with_them(
    patient: Patient, gone: str, loss: str
) -> None:
    run_id = patient.begin(gone, "KILLED")
    note_written(patient, run_id)
    manifest = patient.checkpoint(run_id, 9)
    if loss == "removed":
        shutil.rmtree(manifest.parent)
    elif loss == "damaged":
        manifest.write_text("{")
    said = advice(patient, run_id, *[f"discard={run_id}"] * (loss == "discarded now"))
    assert said.startswith("its checkpoints are gone or damaged; train it again, or name a folder that has them:\n")
    assert said.endswith(f"{resume_command(patient.uri, run_id)} training.checkpoint_dir=FOLDER")


def test_checkpoints_in_the_folder_that_the_run_names_are_found_by_the_command_itself(
    patient: Patient, gone: str, tmp_path: Path
) -> None:
    run_id = patient.begin(gone, "KILLED", **{tracking.CHECKPOINTS: str(tmp_path / "own")})
    shutil.move(patient.checkpoint(run_id, 4).parent, tmp_path / "own" / run_id)
    assert advice(patient, run_id) == f"to resume it after epoch 4:\n{resume_command(patient.uri, run_id)}"


def test_checkpoints_in_the_folder_of_the_doctor_s_own_setting_are_named_in_the_command(
    patient: Patient, gone: str, tmp_path: Path
) -> None:
    run_id = patient.begin(gone, "KILLED")
    moved = tmp_path / "moved there"
    shutil.move(patient.checkpoint(run_id, 4).parent, moved / run_id)
    said = advice(patient, run_id, f"checkpoint_dir='{moved}'")
    assert said.startswith("to resume it after epoch 4:\n")
    assert said.endswith(f" training.checkpoint_dir='{moved}'")


@pytest.mark.parametrize("is_discarded", [True, False])
def test_an_uploaded_checkpoint_counts(patient: Patient, gone: str, is_discarded: bool) -> None:
    run_id = patient.begin(gone, "KILLED")
    note_written(patient, run_id)
    uploaded = patient.artifacts(run_id) / tracking.UPLOADED
    shutil.move(patient.checkpoint(run_id, 9).parent, uploaded)
    if is_discarded:
        patient.checkpoint(run_id, 12)
    said = advice(patient, run_id, *[f"discard={run_id}"] * is_discarded)
    assert said.startswith("to resume it after epoch 9:\n")


def test_a_command_of_the_doctor_names_the_folder_of_checkpoints_that_was_typed(patient: Patient) -> None:
    assert patient.case().doctor_command("discard=0123").endswith(f"discard=0123 'tracking.uri=\"{patient.uri}\"'")
    assert " checkpoint_dir=elsewhere" in patient.case("checkpoint_dir=elsewhere").doctor_command("discard=0123")


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_folder_is_idle_if_nothing_in_it_has_changed_for_a_while(tmp_path: Path) -> None:
    inner = tmp_path / "folder" / "inner"
    inner.mkdir(parents=True)
    assert not is_idle(tmp_path / "folder")
    age(tmp_path / "folder")
    assert is_idle(tmp_path / "folder")
    os.utime(inner)
    assert not is_idle(tmp_path / "folder")


def test_what_is_renamed_meanwhile_is_not_idle(tmp_path: Path) -> None:
    assert not is_idle(tmp_path / "missing")


def test_a_size_counts_files_below_folders_and_no_links(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(bytes(10))
    (tmp_path / "b").write_bytes(bytes(5))
    (folder / "link").symlink_to(tmp_path / "b")
    assert size_of(folder, tmp_path / "b") == 15


@pytest.mark.parametrize(("name", "expected"), [("begun", "run {} (begun)"), ("", "run {}")])
def test_a_run_is_described_by_its_id_and_its_name(patient: Patient, gone: str, name: str, expected: str) -> None:
    case = patient.case()
    run = record(case, patient.begin(gone))._replace(name=name)
    assert described(run) == expected.format(run.run_id)
