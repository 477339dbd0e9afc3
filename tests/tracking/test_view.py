"""The columns that a new experiment shows are things that a run records."""

import json
import re

import pytest
from mlflow import MlflowClient

from src.schema import Config
from src.tracking import open_store
from src.tracking.view import experiment_tags
from tests.support.workplace import TrainedRun

TAG = "mlflow.sharedViewState.results"
FORMER_STATE = (  # as earlier versions wrote it, without metrics of the best epoch
    '{"selectedColumns": ["metrics.`test_accuracy`", "metrics.`val_accuracy`", "params.`model.name`", '
    '"params.`dataset.name`", "params.`optimizer.learning_rate`", "params.`seed`", "tags.`trial_state`"]}'
)
WITHOUT_SPREADS = (
    '{"selectedColumns": ["metrics.`best_val_accuracy`", "metrics.`test_accuracy`", "metrics.`best_epoch`", '
    '"params.`model.name`", "params.`dataset.name`", "params.`optimizer.learning_rate`", "params.`seed`", '
    '"tags.`trial_state`"]}'
)
FORMER = {"name": "Results", "createdAt": 1764000000000, "updatedAt": 1764000000000, "state": FORMER_STATE}


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
    of_pipelines = {"best_val_accuracy_spread", "test_accuracy_spread"}  # tests/reports/test_cross_validate.py
    assert shown["metrics"] - of_pipelines <= recorded.metrics.keys()
    assert shown["params"] <= recorded.params.keys()


def opened_with(config: Config, client: MlflowClient, view: str | None) -> str | None:
    """The view of an experiment that had this one, or none, when it was opened."""
    experiment = open_store(config.tracking).experiment_id
    if view is None:
        client.delete_experiment_tag(experiment, TAG)
    else:
        client.set_experiment_tag(experiment, TAG, view)
    open_store(config.tracking)
    tags: dict[str, str] = client.get_experiment(experiment).tags
    return tags.get(TAG)


@pytest.mark.parametrize("state", [FORMER_STATE, FORMER_STATE.replace("seed", "resolved.best_epoch"), WITHOUT_SPREADS])
def test_an_older_experiment_gets_today_s_columns_when_it_is_opened(config: Config, client: MlflowClient, state: str):
    view = opened_with(config, client, json.dumps(FORMER | {"state": state}))
    assert view is not None
    assert columns({TAG: view}) == columns(experiment_tags())
    assert opened_with(config, client, view) == view


@pytest.mark.parametrize(
    "view",
    [
        json.dumps(FORMER | {"name": "Mine"}),
        json.dumps(FORMER | {"updatedAt": 1764000000001}),
        json.dumps(FORMER | {"state": FORMER_STATE.replace("seed", "model.dropout")}),
        json.dumps(FORMER | {"pinned": True}),
        json.dumps([FORMER]),
        '{"createdAt": 1',
        "deflate;eJyrVkrLz1eyUkpKLFKqBQAdegQ0",
        "",
        None,
    ],
)
def test_a_view_that_somebody_changed_or_removed_stays_as_it_is(config: Config, client: MlflowClient, view: str | None):
    assert opened_with(config, client, view) == view
