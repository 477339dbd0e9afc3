"""Kept models are compared with their manifests."""

import pytest

from src.diagnosis.altered_models import find_altered_models
from tests.support.patients import Patient


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "no manifest"])
@pytest.mark.parametrize("status", ["FINISHED", "KILLED", "FAILED"])
def test_a_model_that_differs_from_its_manifest_is_named(
    patient: Patient, run_id: str, damage: str, status: str
) -> None:
    patient.client.set_terminated(run_id, status)
    model = patient.artifacts(run_id) / "model"
    if damage == "missing":
        (model / "model.keras").unlink()
    elif damage == "no manifest":
        (model / "manifest.json").unlink()
    else:
        (model / ("model.keras" if damage == "changed" else "more")).write_text("other")
    (finding,) = find_altered_models(patient.case())
    assert run_id in finding.subject
    reason = "has no readable manifest.json" if damage == "no manifest" else "differs from its manifest.json"
    assert reason in finding.problem
    assert finding.repair is None


def test_a_model_of_another_program_needs_no_manifest(patient: Patient) -> None:
    run_id = patient.client.create_run("1").info.run_id
    patient.client.log_text(run_id, "weights", "model/model.pkl")
    assert patient.artifacts(run_id).joinpath("model").is_dir()
    patient.client.set_terminated(run_id, "FINISHED")
    assert list(find_altered_models(patient.case())) == []
