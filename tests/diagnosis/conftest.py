"""Stores to damage."""

from pathlib import Path

import pytest

from tests.support.patients import Patient, ended_process
from tests.support.workplace import Workplace, copy_of


@pytest.fixture(scope="session")
def gone() -> str:
    """The name of a process that has ended."""
    return ended_process()


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Patient:
    """A store with a training and a sweep of two trials, in which nothing is wrong."""
    patient = Patient(Workplace(tmp_path_factory.mktemp("healthy")))
    run_id = patient.train("tracking.run_name=first")
    model_id, _ = patient.log_model(run_id)
    patient.client.create_registered_model("digits")
    patient.client.create_model_version("digits", f"models:/{model_id}", run_id=run_id, model_id=model_id)
    for _ in range(2):
        patient.complete_trial()
    patient.sweep()
    patient.storage.close()
    return patient


@pytest.fixture
def patient(healthy: Patient, tmp_path: Path) -> Patient:
    """A copy of it."""
    return Patient(copy_of(healthy.workplace, tmp_path / "store"))


@pytest.fixture
def run_id(patient: Patient) -> str:
    """The run of its training."""
    (run,) = patient.client.search_runs(["1"], "attributes.run_name = 'first'")
    return str(run.info.run_id)
