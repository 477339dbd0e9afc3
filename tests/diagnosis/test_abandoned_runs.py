"""Runs that say RUNNING: those of ended processes are killed, those of living ones stay, others need a permission."""

import platform

import pytest

from src.diagnosis.abandoned_runs import find_abandoned_runs, find_unfinished_parents
from src.errors import StoreError
from src.tracking.process import process_name
from src.tracking.tags import COMMAND, PIPELINE_KEY, PROCESS, STUDY_ID, SWEEP
from tests.support.patients import Patient, repair_all, sentences


def test_a_run_whose_process_has_ended_is_killed_and_its_advice_resumes_it(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone)
    (finding,) = find_abandoned_runs(patient.case())
    assert finding.is_fault
    assert (run_id in finding.subject, "its process has ended" in finding.problem) == (True, True)
    assert f"python -m src.train resume={run_id}" in finding.advice
    repair_all([finding])
    assert patient.status(run_id) == "KILLED"
    assert list(find_abandoned_runs(patient.case())) == []


@pytest.mark.parametrize("change", ["resumed", "ended"])
def test_a_run_that_another_process_changes_meanwhile_is_left_alone(patient: Patient, gone: str, change: str) -> None:
    run_id = patient.begin(gone)
    (finding,) = find_abandoned_runs(patient.case())
    if change == "resumed":
        patient.client.set_tag(run_id, PROCESS, process_name())
    else:
        patient.client.set_terminated(run_id, "FINISHED")
    with pytest.raises(StoreError, match="another process has ended or resumed run"):
        repair_all([finding])
    assert patient.status(run_id) == ("RUNNING" if change == "resumed" else "FINISHED")


def test_a_run_that_another_doctor_has_killed_meanwhile_is_repaired(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone)
    found = [list(find_abandoned_runs(patient.case())) for _ in range(2)]
    for findings in found:
        repair_all(findings)
    assert patient.status(run_id) == "KILLED"


def test_what_the_process_was_writing_is_removed_with_it(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone)
    model_id, folder = patient.log_model(run_id, "PENDING")
    half = patient.artifacts(run_id) / ".part-curves.png"
    half.parent.mkdir(parents=True)
    half.touch()
    repair_all(list(find_abandoned_runs(patient.case())))
    assert str(patient.client.get_logged_model(model_id).status) == "FAILED"
    assert not folder.exists()
    assert not half.exists()


def test_a_trial_s_run_is_continued_by_the_command_of_its_sweep(patient: Patient, gone: str) -> None:
    patient.begin(gone, **{STUDY_ID: "0123", "study": "lenot", "trial": "3"})
    (finding,) = find_abandoned_runs(patient.case())
    assert finding.advice == "to resume study lenot, run the command of the sweep again"


@pytest.mark.parametrize("process", [f"4 at tick 5 of boot {'0' * 36}, namespace 1+1", "999999999 since 1790000000"])
def test_a_run_of_a_machine_that_was_restarted_and_one_of_an_earlier_version_are_found(
    patient: Patient, process: str
) -> None:
    run_id = patient.client.create_run("1", tags={"host": platform.node(), "process": process}).info.run_id
    (finding,) = find_abandoned_runs(patient.case())
    assert run_id in finding.subject


def test_a_run_of_a_living_process_is_not_a_finding(patient: Patient) -> None:
    patient.begin(process_name())
    assert list(find_abandoned_runs(patient.case("hosts=all"))) == []


@pytest.mark.parametrize("tags", [{"host": "elsewhere"}, {}], ids=["another host", "no host"])
def test_a_run_that_cannot_be_seen_from_here_is_listed_and_stays_without_permission(
    patient: Patient, tags: dict[str, str]
) -> None:
    run_id = patient.client.create_run("1", tags=tags).info.run_id
    (finding,) = find_abandoned_runs(patient.case())
    assert (finding.is_fault, finding.repair) == (False, None)
    assert f" on {tags.get('host', 'an unknown machine')} and says RUNNING; " in finding.problem
    assert finding.problem.endswith("the processes of that machine cannot be seen from here")
    assert "fix=true hosts=all" in finding.advice
    (finding,) = find_abandoned_runs(patient.case("hosts=all"))
    assert finding.is_fault
    repair_all([finding])
    assert patient.status(run_id) == "KILLED"


def test_a_trial_that_a_worker_runs_is_never_taken_for_dead(patient: Patient, gone: str) -> None:
    with patient.claims.alive("worker"):
        trial = patient.claim("worker")
        for host in ("elsewhere", ""):  # the second is this one: another container with the same name, for example
            patient.begin(gone, host=host, **patient.study_id.tags_of_trial(trial.number))
        assert list(find_abandoned_runs(patient.case("hosts=all"))) == []


# --- parents ----------------------------------------------------------------------------------------------------------

SWEEP_TAGS = {SWEEP: "true", "sweep": "true", STUDY_ID: "0123", "study": "lenot"}
PIPELINE_TAGS = {"pipeline": "compare_models", PIPELINE_KEY: "0123"}


@pytest.mark.parametrize(
    ("tags", "advice"),
    [
        (SWEEP_TAGS, "to resume study lenot, run the command of the sweep again"),
        (PIPELINE_TAGS, "to resume the pipeline compare_models, run its command again"),
        (SWEEP_TAGS | {COMMAND: "python -m src.train -m seed=1,2"}, "to resume it:\npython -m src.train -m seed=1,2"),
    ],
    ids=["sweep", "pipeline", "command"],
)
def test_a_parent_in_which_nothing_runs_is_killed(
    patient: Patient, gone: str, tags: dict[str, str], advice: str
) -> None:
    run_id = patient.begin(gone, **tags)
    assert list(find_abandoned_runs(patient.case())) == []
    (finding,) = find_unfinished_parents(patient.case())
    assert finding.advice == advice
    repair_all([finding])
    assert patient.status(run_id) == "KILLED"


def test_a_sweep_with_a_living_worker_stays(patient: Patient, gone: str) -> None:
    patient.begin(gone, **SWEEP_TAGS | {STUDY_ID: patient.study_id.unique})
    with patient.claims.alive("worker"):
        patient.claim("worker")
        assert list(find_unfinished_parents(patient.case())) == []
    assert len(list(find_unfinished_parents(patient.case()))) == 1


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_a_pipeline_with_a_training_that_may_run_stays(patient: Patient, gone: str, host: str) -> None:
    run_id = patient.begin(gone, **PIPELINE_TAGS)
    patient.begin(process_name() if not host else gone, host=host, **{"mlflow.parentRunId": run_id})
    assert list(find_unfinished_parents(patient.case())) == []


def test_a_pipeline_whose_training_was_killed_too_is_killed(patient: Patient, gone: str) -> None:
    run_id = patient.begin(gone, **PIPELINE_TAGS)
    patient.begin(gone, **{"mlflow.parentRunId": run_id})
    assert [run_id in text for text in sentences(list(find_unfinished_parents(patient.case())))] == [True]
