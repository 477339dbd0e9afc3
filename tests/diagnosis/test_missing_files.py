"""Files that runs and models should have."""

import shutil

import pytest

from src.diagnosis.missing_files import find_missing_artifacts, find_missing_models, find_versions_without_runs
from tests.support.patients import Patient, sentences
from tests.support.runs import config_for, new_run


def test_a_finished_training_without_its_configuration_is_named(patient: Patient, run_id: str) -> None:
    (patient.artifacts(run_id) / "config" / "config.yaml").unlink()
    (text,) = sentences(list(find_missing_artifacts(patient.case())))
    assert text == f"run {run_id} (first) is FINISHED, but its config/config.yaml is missing"


def test_a_training_that_kept_its_model_and_has_none_is_named(patient: Patient, run_id: str) -> None:
    shutil.rmtree(patient.artifacts(run_id) / "model")
    (text,) = sentences(list(find_missing_artifacts(patient.case())))
    assert text.endswith("kept its model, but its folder model/ is missing")


@pytest.mark.parametrize("overrides", [[], ["tracking.save_model=false"]])
def test_a_training_that_kept_no_model_on_purpose_is_not_a_finding(patient: Patient, overrides: list[str]) -> None:
    with new_run(config_for(patient.workplace.uri, *overrides)) as run:  # like a trial that was not the best so far
        patient.record(run)
    assert list(find_missing_artifacts(patient.case())) == []


def test_runs_of_other_programs_and_runs_that_did_not_finish_are_not_findings(patient: Patient, gone: str) -> None:
    patient.client.set_terminated(patient.client.create_run("1").info.run_id)
    for status in ("KILLED", "FAILED"):
        patient.client.set_terminated(patient.begin(gone), status)
    assert list(find_missing_artifacts(patient.case())) == []


@pytest.mark.parametrize("damage", ["folder", "file"])
def test_a_logged_model_and_its_version_without_files_are_named(patient: Patient, run_id: str, damage: str) -> None:
    (model,) = patient.client.search_logged_models(["1"])
    folder = patient.folder / "mlartifacts" / "models" / model.model_id / "artifacts"
    if damage == "folder":
        shutil.rmtree(folder)
    else:
        (folder / "MLmodel").unlink()
    assert sentences(list(find_missing_models(patient.case()))) == [
        f"model {model.model_id} (dense) of run {run_id} is READY, but its files are missing",
        "version 1 of digits is registered, but its files are missing",
    ]


def test_a_version_whose_run_was_deleted_has_the_command_that_restores_it(patient: Patient, run_id: str) -> None:
    patient.client.delete_run(run_id)
    (finding,) = find_versions_without_runs(patient.case())
    assert (finding.is_fault, finding.repair) == (True, None)
    assert sentences([finding]) == [f"version 1 of digits is registered, but its run {run_id} was deleted"]
    assert f"mlflow runs restore --run-id {run_id}" in finding.advice
    patient.client.restore_run(run_id)
    assert list(find_versions_without_runs(patient.case())) == []


def test_a_version_whose_run_is_gone_for_good_is_named(patient: Patient, run_id: str) -> None:
    patient.remove_run(run_id)
    (finding,) = find_versions_without_runs(patient.case())
    assert sentences([finding]) == [f"version 1 of digits is registered, but its run {run_id} is gone"]
    assert "python -m src.register run_id=RUN" in finding.advice


def test_a_version_that_no_run_has_trained_is_not_a_finding(patient: Patient) -> None:
    patient.client.create_registered_model("foreign")
    patient.client.create_model_version("foreign", str(patient.folder))
    assert list(find_versions_without_runs(patient.case())) == []


@pytest.mark.parametrize("status", ["PENDING", "FAILED"])
def test_a_model_that_was_not_finished_needs_no_files(patient: Patient, run_id: str, status: str) -> None:
    _, folder = patient.log_model(run_id, status)
    shutil.rmtree(folder)
    assert list(find_missing_models(patient.case())) == []
