"""Trials and runs that disagree, in every way that a kill between two writes leaves behind."""

import platform

import pytest

from src.diagnosis.abandoned_runs import find_abandoned_runs
from src.diagnosis.trials import find_disagreements
from src.tracking.process import process_name
from tests.support.patients import Patient, repair_all, sentences


def test_a_trial_whose_worker_is_dead_is_interrupted_and_its_run_is_killed(patient: Patient, gone: str) -> None:
    trial = patient.claim()
    run_id = patient.begin(gone, **patient.study_id.tags_of_trial(trial.number))
    case = patient.case()
    (finding,) = find_disagreements(case)
    assert finding.subject == "trial 2 of study search"
    assert "to resume study search and repeat the trial" in finding.advice
    assert list(find_abandoned_runs(case)) == []  # the run is a part of the finding
    repair_all([finding])
    (*_, ended) = patient.claims.trials()
    assert (ended.state.name, ended.user_attrs["interrupted"], patient.status(run_id)) == ("FAIL", True, "KILLED")
    assert list(find_disagreements(patient.case())) == []


@pytest.mark.parametrize("ended", ["FINISHED", "FAILED"])
def test_the_run_of_a_trial_whose_worker_died_at_its_end_is_killed_too(patient: Patient, ended: str) -> None:
    trial = patient.claim()
    run_id = patient.train(**patient.study_id.tags_of_trial(trial.number))
    patient.client.set_terminated(run_id, ended, 1_800_000_000_000)
    repair_all(list(find_disagreements(patient.case())))
    assert patient.status(run_id) == "KILLED"
    assert patient.client.get_run(run_id).info.end_time == 1_800_000_000_000


def test_a_trial_whose_worker_lives_is_not_a_finding(patient: Patient) -> None:
    with patient.claims.alive("worker"):
        trial = patient.claim("worker")
        patient.train(**patient.study_id.tags_of_trial(trial.number))  # FINISHED, the moment before the trial is
        assert list(find_disagreements(patient.case())) == []


def end_as(patient: Patient, state: str) -> int:
    """End a trial; its number."""
    with patient.claims.alive("worker"):
        trial = patient.claim("worker")
        end = {
            "complete": lambda: patient.claims.complete(trial, "worker", 0.5, {}),
            "pruned": lambda: patient.claims.prune(trial, "worker", {}),
            "failed": lambda: patient.claims.fail(trial, "worker", "no", {}),
            "interrupted": lambda: patient.claims.interrupt(trial, "worker", "no"),
        }[state]
        assert end()
    return trial.number


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        ("complete", "RUNNING", "FINISHED"),
        ("pruned", "RUNNING", "FINISHED"),
        ("failed", "RUNNING", "FAILED"),
        ("interrupted", "RUNNING", "KILLED"),
        ("failed", "FINISHED", "FAILED"),
        ("interrupted", "FINISHED", "KILLED"),
    ],
)
@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_a_run_gets_the_status_of_its_ended_trial(
    patient: Patient, gone: str, host: str, state: str, before: str, after: str
) -> None:
    number = end_as(patient, state)
    run_id = patient.begin(gone, host=host, **patient.study_id.tags_of_trial(number))
    if before != "RUNNING":
        patient.client.set_terminated(run_id, before)
    (finding,) = find_disagreements(patient.case())
    assert finding.problem.startswith(f"is {before}, but trial 2 of study search ")
    assert finding.repair is not None
    assert finding.repair.action == f"mark the run {after}"
    repair_all([finding])
    assert patient.status(run_id) == after
    assert list(find_disagreements(patient.case())) == []


def test_a_run_that_its_process_is_about_to_end_is_left_alone(patient: Patient) -> None:
    patient.begin(process_name(), **patient.study_id.tags_of_trial(end_as(patient, "interrupted")))
    assert list(find_disagreements(patient.case())) == []


def run_of(patient: Patient, number: int) -> str:
    return str(patient.claims.trials()[number].user_attrs["run_id"])


def test_a_complete_trial_whose_run_was_deleted_has_the_command_that_restores_it(patient: Patient) -> None:
    run_id = run_of(patient, 0)
    patient.client.delete_run(run_id)
    (finding,) = find_disagreements(patient.case())
    assert finding.repair is None
    assert f"mlflow runs restore --run-id {run_id}" in finding.advice


def test_a_complete_trial_whose_run_is_gone_is_named(patient: Patient) -> None:
    patient.remove_run(run_of(patient, 1))
    (finding,) = find_disagreements(patient.case())
    assert finding.problem == f"is complete, but its run {run_of(patient, 1)} is gone"


def test_a_study_of_another_store_is_information(patient: Patient) -> None:
    for number in range(2):
        patient.remove_run(run_of(patient, number))
    (finding,) = find_disagreements(patient.case())
    assert not finding.is_fault
    assert sentences([finding]) == ["study search has 2 complete trials, but this store has none of their runs"]


def test_runs_in_another_experiment_than_the_chosen_one_are_not_missing(patient: Patient) -> None:
    patient.client.create_experiment("other")
    assert list(find_disagreements(patient.case("tracking.experiment=other"))) == []


def test_a_tag_of_a_user_is_not_taken_for_a_trial(patient: Patient, gone: str) -> None:
    number = end_as(patient, "failed")
    run_id = patient.begin(gone, trial=str(number), host=platform.node())
    assert [run_id in text for text in sentences(list(find_disagreements(patient.case())))] == []
