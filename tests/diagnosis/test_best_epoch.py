"""The best epoch is computed from the recorded epochs where it is missing."""

import pytest

from src.diagnosis.best_epoch import find_missing_best_epochs
from tests.support.patients import Patient, execute, repair_all
from tests.support.runs import config_for, new_run

BEST = ("best_epoch", "best_val_accuracy", "best_val_loss")


def forget(patient: Patient, run_id: str, *names: str) -> None:
    """Remove metrics and params of a run."""
    for name in names:
        for table in ("metrics", "latest_metrics", "params"):
            execute(patient.folder / "mlflow.db", f"DELETE FROM {table} WHERE run_uuid = ? AND key = ?", run_id, name)


@pytest.mark.parametrize("names", [BEST, ("resolved.best_epoch",), (*BEST, "resolved.best_epoch"), ("best_val_loss",)])
def test_the_best_epoch_is_computed_as_the_training_recorded_it(
    patient: Patient, run_id: str, names: tuple[str, ...]
) -> None:
    before = patient.client.get_run(run_id).data
    forget(patient, run_id, *names)
    (finding,) = find_missing_best_epochs(patient.case())
    assert all(name in finding.problem for name in names)
    repair_all([finding])
    after = patient.client.get_run(run_id).data
    assert (after.metrics, after.params) == (before.metrics, before.params)
    assert list(find_missing_best_epochs(patient.case())) == []


def test_metrics_that_are_added_belong_to_the_best_epoch_and_the_end_of_the_run(patient: Patient, run_id: str) -> None:
    forget(patient, run_id, *BEST)
    repair_all(list(find_missing_best_epochs(patient.case())))
    (point,) = patient.client.get_metric_history(run_id, "best_val_accuracy")
    assert (point.step, point.timestamp) == (2, patient.client.get_run(run_id).info.end_time)


def test_the_recorded_monitor_decides(patient: Patient) -> None:
    run_id = patient.train("training.monitor=val_loss")  # which is best in the last epoch
    forget(patient, run_id, *BEST, "resolved.best_epoch")
    repair_all(list(find_missing_best_epochs(patient.case())))
    assert patient.client.get_run(run_id).data.metrics["best_epoch"] == 3


def test_without_a_validation_split_the_last_epoch_is_the_best(patient: Patient) -> None:
    with new_run(config_for(patient.workplace.uri, "dataset.validation_size=0")) as run:
        for epoch in (1, 2):
            run.log_epoch(epoch, {"loss": 1.0, "accuracy": 0.5})
    repair_all(list(find_missing_best_epochs(patient.case())))
    found = patient.client.get_run(run.run_id).data
    assert (found.params["resolved.best_epoch"], found.metrics["best_epoch"]) == ("2", 2.0)
    assert "best_val_loss" not in found.metrics


@pytest.mark.parametrize("lost", [("loss",), ("val_accuracy",)])
def test_a_run_whose_epochs_were_removed_is_named_and_not_changed(
    patient: Patient, run_id: str, lost: tuple[str, ...]
) -> None:
    forget(patient, run_id, *lost, "resolved.best_epoch")
    (finding,) = find_missing_best_epochs(patient.case())
    assert (finding.repair, finding.advice) == (None, "train the run again")


def test_a_run_that_did_not_finish_needs_no_best_epoch(patient: Patient, run_id: str) -> None:
    forget(patient, run_id, *BEST)
    patient.client.set_terminated(run_id, "KILLED")
    assert list(find_missing_best_epochs(patient.case())) == []
