"""A config that tracks into a store of the test's own, and MLflow's client for that store."""

import pytest
from mlflow import MlflowClient

from src.schema import Config
from src.tracking.store import prepare_store
from tests.support.runs import config_for
from tests.support.workplace import Workplace


@pytest.fixture
def config(workplace: Workplace) -> Config:
    return config_for(workplace.uri)


@pytest.fixture
def client(workplace: Workplace) -> MlflowClient:
    prepare_store(workplace.uri)  # creates the tables, for which MlflowClient waits for the disk a hundred times
    return MlflowClient(workplace.uri)
