"""Interrupted runs are listed with the command that resumes them."""

import pytest

from src.diagnosis import Finding
from src.diagnosis.killed_runs import find_killed_runs
from src.links import resume_command
from src.tracking.tags import PIPELINE_KEY, STUDY_ID, SWEEP
from tests.support.patients import Patient


def listed(patient: Patient) -> list[Finding]:
    found = list(find_killed_runs(patient.case()))
    assert not any(finding.is_fault or finding.repair for finding in found)
    return found


def test_a_killed_training_is_listed_with_the_command_that_resumes_it(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, "KILLED")
    (finding,) = listed(patient)
    assert run_id in finding.subject
    assert finding.problem.startswith("was stopped or killed on 2")
    assert finding.advice.splitlines()[-1] == resume_command(patient.uri, run_id)


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_a_failed_training_is_listed_if_it_has_a_checkpoint(patient: Patient, gone: str, has_checkpoint: bool) -> None:
    run_id = patient.begin(gone, "FAILED")
    if has_checkpoint:
        patient.checkpoint(run_id, epoch=7)
    assert [(run_id in found.subject, found.problem[:10]) for found in listed(patient)] == [
        (True, "failed on ")
    ] * has_checkpoint


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_trials_are_not_listed_because_their_sweep_repeats_them(patient: Patient, gone: str, status: str) -> None:
    patient.begin(gone, status, **patient.study_id.tags_of_trial(3))
    assert listed(patient) == []


@pytest.mark.parametrize(
    ("tags", "advice"),
    [
        (
            {SWEEP: "true", STUDY_ID: "0123", "study": "lenot"},
            "to resume study lenot, run the command of the sweep again",
        ),
        (
            {"pipeline": "compare_models", PIPELINE_KEY: "0123"},
            "to resume the pipeline compare_models, run its command again",
        ),
    ],
    ids=["sweep", "pipeline"],
)
def test_sweeps_and_pipelines_are_resumed_by_their_commands(
    patient: Patient, gone: str, tags: dict[str, str], advice: str
) -> None:
    patient.begin(gone, "KILLED", **tags)
    assert [finding.advice for finding in listed(patient)] == [advice]


def test_runs_that_finished_or_may_be_running_are_not_listed(patient: Patient, gone: str) -> None:
    patient.begin(gone, "FINISHED")
    patient.begin(gone)
    assert listed(patient) == []


def test_runs_of_other_programs_are_not_listed(patient: Patient) -> None:
    run_id = patient.client.create_run("1").info.run_id
    patient.client.set_terminated(run_id, "KILLED")
    assert listed(patient) == []
