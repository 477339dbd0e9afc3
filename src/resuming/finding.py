"""The interrupted training that is continued."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from src import console, tracking
from src.checkpointing import Checkpoint, manifests, newest
from src.cli.changes import EPOCHS, change_config, split_changes
from src.errors import CheckpointError, ConfigError, NotKept
from src.resuming.places import root, warn, with_folder
from src.schema import Config
from src.tracked import trained_config

Found = tuple[Checkpoint, Mapping[str, Any]]  # a checkpoint and its origin


@dataclass(frozen=True)
class Resumption:
    """The interrupted training that is continued, if there is one.

    Attributes:
        run_id: the run that is continued, None for a new run.
        key: the name of the folder of checkpoints, None for the id of the run.
        on_change: `error`, or `continue` although the code or packages changed; `restart` without a checkpoint that
            fits.
        tags: for the run.
        resumed_after: the epochs after which the run was resumed before.
        planned: the fingerprint that the run had when it began.
        last_written: the last epoch after which the run has written a checkpoint, 0 for none.
        uploaded: the checkpoint that is an artifact of the run, and its origin.
        on_resume: called with the checkpoint from which the training continues.
        is_stopping: returns True if the training will be stopped after the present epoch.
    """

    run_id: str | None = None
    key: str | None = None
    on_change: str = "error"
    tags: Mapping[str, str] | None = None
    resumed_after: Sequence[str] = ()
    planned: str | None = None
    last_written: int = 0
    uploaded: Found | None = None
    on_resume: Callable[[Checkpoint], object] = id  # does nothing
    is_stopping: Callable[[], bool] = bool  # False


NOTHING = Resumption()  # a new training


def find_requested(config: Config, overrides: Sequence[str]) -> tuple[tracking.Store, Config, Resumption]:
    """Return the store, the configuration and the run that `resume=RUN` names.

    Args:
        config: its `resume`, `on_change` and `tracking` are read.
        overrides: what was typed, which may change places and the number of epochs.

    Raises:
        StoreError: the run does not exist, or it cannot be resumed.
        CheckpointError: the run has failed without a checkpoint.
        ConfigError: something was typed that a resumed run cannot change.
    """
    assert config.resume is not None
    store, run = tracking.interrupted_run(config.tracking, config.resume, console.say)
    recorded = trained_config(run)
    changed = change_config(recorded, split_changes(overrides)[1])
    _check_epochs(recorded, changed)
    if changed.training.checkpoint_dir == recorded.training.checkpoint_dir:
        changed = with_folder(changed, run)
    tags = {name: value for name, value in changed.tags.items() if recorded.tags.get(name) != value}
    if changed.training.epochs != recorded.training.epochs:
        tags[tracking.EPOCHS] = str(changed.training.epochs)
    changed = replace(changed, tracking=replace(changed.tracking, uri=config.tracking.uri))
    resumption = Resumption(
        run.run_id,
        on_change=config.on_change,
        tags=tags,
        resumed_after=[epoch for epoch in run.tags.get(tracking.RESUMED, "").split(", ") if epoch],
        planned=None if tracking.EPOCHS in tags else run.tags.get(tracking.PLANNED),
        last_written=tracking.last_checkpoint(store, str(run.run_id)),
        uploaded=_uploaded(run),
    )
    if run.status == "FAILED" and not resumption.uploaded and not manifests(root(changed) / str(run.run_id)):
        raise CheckpointError(
            f"run {run.run_id} has failed ({run.tags.get('error', 'no reason is recorded')}) and has no checkpoint in "
            f"{root(changed)}; train it again"
        )
    return store, changed, resumption


def _uploaded(run: tracking.Run) -> Found | None:
    """Return the checkpoint that is an artifact of a run, None without one that can be read."""
    try:
        with run.reading(tracking.UPLOADED) as folder:
            return newest(folder, warn)
    except NotKept:
        return None
    except CheckpointError as error:
        warn(str(error))
        return None


def find_interrupted(
    store: tracking.Store, config: Config, planned: str, parent_run_id: str | None
) -> tuple[Config, Resumption]:
    """Return the interrupted run of the same training that `tracking.on_duplicate=reuse` continues, if there is one.

    The configuration is returned too, with the folder of the run's checkpoints unless another one was typed.
    """
    if config.tracking.on_duplicate != "reuse":
        return config, NOTHING
    run_ids = tracking.interrupted_runs(store, planned, parent_run_id)
    if store.client is None or not run_ids:
        return config, NOTHING
    run = tracking.Run(store.client, run_ids[0], store.experiment_id)
    run.tags = store.client.get_run(run_ids[0]).data.tags
    if config.training.checkpoint_dir is None:
        config = with_folder(config, run)
    return config, Resumption(
        run.run_id,
        on_change="restart",
        last_written=tracking.last_checkpoint(store, run_ids[0]),
        uploaded=_uploaded(run),
    )


def _check_epochs(recorded: Config, changed: Config) -> None:
    before, after = recorded.training.epochs, changed.training.epochs
    if after < before:
        raise ConfigError(f"{EPOCHS}={after}: the run was started with {before}; it can only be resumed with more")
    if after > before and recorded.schedule.reads_epochs:
        raise ConfigError(
            f"{EPOCHS}={after}: schedule={recorded.schedule.name} depends on the number of epochs, {before}; remove "
            f"`{EPOCHS}={after}`"
        )
