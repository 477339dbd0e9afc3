"""Writing in the background: in order, whole, and never silently lost."""

import pytest
from mlflow import MlflowClient

from src.errors import StoreError
from src.schema import Config
from tests.support.runs import new_run


def test_points_of_epochs_are_written_in_order_and_complete_at_the_end(config: Config, client: MlflowClient):
    with new_run(config) as run:
        for epoch in range(1, 51):
            run.log_epoch(epoch, {"loss": 1 / epoch})
    points = client.get_metric_history(str(run.run_id), "loss")
    assert [(point.step, point.value) for point in points] == [(epoch, 1 / epoch) for epoch in range(1, 51)]


def test_a_point_that_cannot_be_written_fails_the_run_and_is_never_dropped(config: Config, client: MlflowClient):
    runs = []

    def log_nonsense() -> None:
        with new_run(config) as run:
            runs.append(run)
            run.log_metrics({"a name with a ? in it": 1.0}, 1)

    with pytest.raises(StoreError, match="no longer accepts metrics"):
        log_nonsense()
    assert client.get_run(runs[0].run_id).info.status == "FAILED"
