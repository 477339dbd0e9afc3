"""A config that tracks into a store of the test's own, and MLflow's client for that store."""

from contextlib import AbstractContextManager
from typing import Any

import pytest
from mlflow import MlflowClient

from src.cli.compose import compose_config
from src.schema import Config
from src.tracking import Run, open_store, start_run
from tests.conftest import Workplace


def config_for(uri: str, *overrides: str) -> Config:
    config = compose_config(["dataset=synthetic", f"tracking.uri='{uri}'", *overrides])
    assert isinstance(config, Config)
    return config


def new_run(config: Config, **arguments: Any) -> AbstractContextManager[Run]:
    return start_run(open_store(config.tracking), config, **arguments)


@pytest.fixture
def config(workplace: Workplace) -> Config:
    return config_for(workplace.uri)


@pytest.fixture
def client(workplace: Workplace) -> MlflowClient:
    return MlflowClient(workplace.uri)
