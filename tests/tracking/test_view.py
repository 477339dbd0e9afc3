"""The columns that a new experiment shows are things that a run records."""

import json
import re

from mlflow import MlflowClient

from src.tracking.view import experiment_tags
from tests.conftest import TrainedRun


def columns(tags: dict[str, str]) -> dict[str, set[str]]:
    """The columns of the saved view, by what they show: `metrics`, `params`, `tags`."""
    state = json.loads(json.loads(tags["mlflow.sharedViewState.results"])["state"])
    found: dict[str, set[str]] = {}
    for kind, name in (re.fullmatch(r"(\w+)\.`(.+)`", column).groups() for column in state["selectedColumns"]):  # type: ignore[union-attr]
        found.setdefault(kind, set()).add(name)
    return found


def test_an_experiment_has_the_tags_of_its_kind_and_of_the_saved_view(trained: TrainedRun):
    client = MlflowClient(trained.workplace.uri)
    experiment = client.get_experiment(client.get_run(trained.run_id).info.experiment_id)
    assert experiment.tags.keys() == experiment_tags().keys()


def test_a_run_records_every_metric_and_param_of_the_saved_view(trained: TrainedRun):
    shown = columns(experiment_tags())
    recorded = MlflowClient(trained.workplace.uri).get_run(trained.run_id).data
    assert shown["metrics"] <= recorded.metrics.keys()
    assert shown["params"] <= recorded.params.keys()
