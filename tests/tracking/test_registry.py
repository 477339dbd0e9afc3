"""The registry: opening it changes nothing in the store."""

import platform
from pathlib import Path

import pytest
from mlflow import MlflowClient

from src.errors import StoreError
from src.tracking import Registry
from src.tracking.tags import HOST, PROCESS
from tests.support.patients import ended_process
from tests.support.runs import config_for, new_run


def test_opening_the_registry_leaves_killed_runs_and_experiments_as_they_are(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with new_run(config_for(uri)):
        pass
    client = MlflowClient(uri)
    left = client.create_run("1", tags={HOST: platform.node(), PROCESS: ended_process()}).info.run_id
    Registry(config_for(uri, "tracking.experiment=other").tracking)
    assert client.get_run(left).info.status == "RUNNING"
    assert client.get_experiment_by_name("other") is None


def test_a_registry_of_a_store_that_does_not_exist_is_named_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"tracking store .* does not exist"):
        Registry(config_for(f"sqlite:///{tmp_path}/mlflow.db").tracking)
    assert list(tmp_path.iterdir()) == []


def test_without_tracking_there_is_no_registry() -> None:
    with pytest.raises(StoreError, match=r"^tracking=off: .*remove `tracking=off`"):
        Registry(config_for("sqlite:///mlflow.db", "tracking=off").tracking)
