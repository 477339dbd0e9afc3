"""A config that tracks into a store of the test's own, and MLflow's client for that store."""

import pytest
from mlflow import MlflowClient

from src.schema import Config
from tests.support.runs import config_for
from tests.support.workplace import Workplace


@pytest.fixture
def config(workplace: Workplace) -> Config:
    return config_for(workplace.uri)


@pytest.fixture
def client(workplace: Workplace) -> MlflowClient:
    return MlflowClient(workplace.uri)
