"""A config that tracks into a store of the test's own."""

from contextlib import AbstractContextManager
from typing import Any

from src.redact import hide_password
from src.schema import Config
from src.tracking import Run, open_store, start_run
from tests.support.configs import composed


def config_for(uri: str, *overrides: str) -> Config:
    config = composed("dataset=synthetic", *overrides)
    assert isinstance(config, Config)
    config.tracking.uri = uri
    hide_password(uri)
    return config


def new_run(config: Config, **arguments: Any) -> AbstractContextManager[Run]:
    return start_run(open_store(config.tracking), config, **arguments)
