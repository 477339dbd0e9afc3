"""A config that tracks into a store of the test's own."""

from contextlib import AbstractContextManager
from typing import Any

from src.cli.compose import compose_config
from src.schema import Config
from src.tracking import Run, open_store, start_run


def config_for(uri: str, *overrides: str) -> Config:
    config = compose_config(["dataset=synthetic", f"tracking.uri='{uri}'", *overrides])
    assert isinstance(config, Config)
    return config


def new_run(config: Config, **arguments: Any) -> AbstractContextManager[Run]:
    return start_run(open_store(config.tracking), config, **arguments)
