"""The folder of checkpoints: where it is, and whether it can be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from src import console, tracking
from src.checkpointing import manifests, root_of
from src.errors import ConfigError
from src.places import check_output_folder, sqlite_file, store_folder
from src.schema import Config


def check_named_folder(config: Config) -> None:
    """Raise ConfigError if the folder of `training.checkpoint_dir` cannot be written."""
    if config.training.checkpoint_dir is not None:
        can_write(config)


def can_write(config: Config) -> bool:
    """Return True if checkpoints are wanted and can be written; warn if the default folder cannot be written.

    Raises:
        ConfigError: the folder of `training.checkpoint_dir` cannot be written.
    """
    if config.training.checkpoint_minutes is None:
        return False
    try:
        check_output_folder(root(config), "training.checkpoint_dir")
    except ConfigError as error:
        if config.training.checkpoint_dir is not None:
            raise
        warn(f"no checkpoints are written: {error}")
        return False
    return True


def root(config: Config) -> Path:
    """Return the folder of all checkpoints of the store, or the one that the config names."""
    return root_of(config.training.checkpoint_dir, store_folder(config.tracking.uri))


def folder_tags(config: Config) -> Mapping[str, str]:
    """Return the tag that names the folder of checkpoints, if the store's own name does not give it."""
    if config.training.checkpoint_dir is None and sqlite_file(config.tracking.uri) is not None:
        return {}
    return {tracking.CHECKPOINTS: str(root(config).absolute())}


def with_folder(config: Config, run: tracking.Run) -> Config:
    """Return the config with the folder that has the run's checkpoints, if this command was typed in another folder."""
    folder = run.tags.get(tracking.CHECKPOINTS)
    if folder is None or not manifests(Path(folder) / str(run.run_id)):
        return config
    return replace(config, training=replace(config.training, checkpoint_dir=folder))


def warn(sentence: str) -> None:
    """Print a warning."""
    console.warn([sentence])
