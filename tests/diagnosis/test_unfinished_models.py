"""MLflow models that stay PENDING."""

import pytest

from src.diagnosis.unfinished_models import find_unfinished_models
from src.tracking.process import process_name
from tests.support.patients import Patient, repair_all


@pytest.mark.parametrize("end", ["FINISHED", "FAILED", "KILLED", "gone", "deleted"])
def test_a_pending_model_of_a_run_that_has_ended_becomes_failed(patient: Patient, gone: str, end: str) -> None:
    run_id = patient.begin(gone)
    if end == "deleted":
        patient.client.set_terminated(run_id)
        patient.client.delete_run(run_id)
    elif end != "gone":
        patient.client.set_terminated(run_id, end)
    model_id, folder = patient.log_model(run_id, "PENDING")
    (finding,) = find_unfinished_models(patient.case())
    assert model_id in finding.subject
    repair_all([finding])
    assert str(patient.client.get_logged_model(model_id).status) == "FAILED"
    assert not folder.exists()
    assert list(find_unfinished_models(patient.case())) == []


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_a_pending_model_of_a_run_that_may_be_running_stays(patient: Patient, gone: str, host: str) -> None:
    patient.log_model(patient.begin(gone if host else process_name(), host=host), "PENDING")
    assert list(find_unfinished_models(patient.case())) == []


def test_a_pending_model_without_a_run_is_not_of_this_program(patient: Patient) -> None:
    patient.client.create_logged_model("1", "foreign")
    assert list(find_unfinished_models(patient.case())) == []


def test_models_are_read_page_by_page(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone)
    for _ in range(120):  # a page has 100
        patient.client.create_logged_model("1", "many", source_run_id=run_id)
    assert len(list(find_unfinished_models(patient.case()))) == 120
