"""Interrupted trainings: finding the one to continue and its checkpoint, and checking that it is the same training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src import console, fitting, tracking
from src.checkpoints import Checkpoint, Checkpoints, manifests, newest, root_of
from src.cli.changes import EPOCHS, change_config, split_changes
from src.errors import CheckpointError, ConfigError, NotKept
from src.places import check_output_folder, local_path, sqlite_file
from src.schema import Config, TransferConfig
from src.tracked import trained_config

VERSIONS = ("tensorflow", "keras", "numpy")  # packages that compute the result
MAX_LISTED = 5  # differences in an error message

Found = tuple[Checkpoint, Mapping[str, Any]] | None  # a checkpoint and its origin


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
    """

    run_id: str | None = None
    key: str | None = None
    on_change: str = "error"
    tags: Mapping[str, str] | None = None
    resumed_after: Sequence[str] = ()
    planned: str | None = None
    last_written: int = 0
    uploaded: Found = None
    on_resume: Callable[[Checkpoint], object] = id  # does nothing


NOTHING = Resumption()  # a new training


def find_requested(config: Config, overrides: Sequence[str]) -> tuple[tracking.Store, Config, Resumption]:
    """Return the store, the configuration and the run that `resume=RUN` names.

    Args:
        config: its `resume`, `on_change` and `tracking` are read.
        overrides: what was typed, which may change places and the number of epochs.

    Raises:
        StoreError: there is no such run, or it cannot be resumed.
        CheckpointError: the run has failed without a checkpoint.
        ConfigError: something was typed that a resumed run cannot change.
    """
    assert config.resume is not None
    store, run = tracking.interrupted_run(config.tracking, config.resume, console.say)
    recorded = trained_config(run)
    changed = change_config(recorded, split_changes(overrides)[1])
    _check_epochs(recorded, changed)
    if changed.training.checkpoint_dir == recorded.training.checkpoint_dir:
        changed = _with_folder(changed, run)
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
    if run.status == "FAILED" and not resumption.uploaded and not manifests(_root(changed) / str(run.run_id)):
        raise CheckpointError(
            f"run {run.run_id} has failed ({run.tags.get('error', 'no reason is recorded')}) and has no checkpoint in "
            f"{_root(changed)}; train it again"
        )
    return store, changed, resumption


def _with_folder(config: Config, run: tracking.Run) -> Config:
    """Return the config with the folder that has the run's checkpoints, if this command was typed in another folder."""
    folder = run.tags.get(tracking.CHECKPOINTS)
    if folder is None or not manifests(Path(folder) / str(run.run_id)):
        return config
    return replace(config, training=replace(config.training, checkpoint_dir=folder))


def _uploaded(run: tracking.Run) -> Found:
    """Return the checkpoint that is an artifact of a run, None without one that can be read."""
    try:
        with run.reading(tracking.UPLOADED) as folder:
            return newest(folder, _warn)
    except NotKept:
        return None
    except CheckpointError as error:
        _warn(str(error))
        return None


def find_interrupted(store: tracking.Store, config: Config, planned: str, parent_run_id: str | None) -> Resumption:
    """Return the interrupted run of the same training that `tracking.on_duplicate=reuse` continues, if there is one."""
    if config.tracking.on_duplicate != "reuse":
        return NOTHING
    run_ids = tracking.interrupted_runs(store, planned, parent_run_id)
    return Resumption(run_ids[0], on_change="restart") if run_ids else NOTHING


def open_checkpoints(config: Config, resumption: Resumption, data_digest: str) -> Checkpoints:
    """Return the checkpoints of a training, with the one from which it continues.

    Args:
        config: of the training.
        resumption: what it continues.
        data_digest: of the data set that was found.

    Raises:
        ConfigError: the folder of `training.checkpoint_dir` cannot be written.
        CheckpointError: the checkpoints cannot be read, or settings, data, code or packages changed.
    """
    now = origin(config, data_digest)
    minutes = config.training.checkpoint_minutes if can_write(config) else None
    checkpoints = Checkpoints(
        _root(config), resumption.key or resumption.run_id, minutes, origin=now, report=console.say
    )
    if checkpoints.key is None:
        return checkpoints
    try:
        found = _latest(newest(checkpoints.folder, _warn), resumption.uploaded)
        if found is None:
            _check_none_was_written(checkpoints, resumption)
            _check_planned(resumption, config, data_digest)
            return checkpoints
        checkpoint, then = found
        _keep_initial_weights(config, then, now)
        changes = _check_origin(checkpoints.folder, then, now, resumption.on_change)
    except CheckpointError as error:
        if resumption.on_change != "restart":
            raise
        console.warn([f"{error}. The training starts with the first epoch"])
        checkpoints.delete()
        return checkpoints
    checkpoints.resume_from(checkpoint, changes)
    return checkpoints


def with_initial_weights(config: Config, checkpoints: Checkpoints) -> Config:
    """Return the config with the initial weights that are still needed.

    A checkpoint replaces them, so their file may be gone. That of a classifier on a frozen backbone has no backbone.
    """
    if checkpoints.resumed is None or isinstance(config.model, TransferConfig):
        return config
    return replace(config, training=replace(config.training, initial_weights=None))


def _warn(sentence: str) -> None:
    console.warn([sentence])


def _latest(local: Found, uploaded: Found) -> Found:
    """Return the checkpoint of the later epoch."""
    if local is None or uploaded is None:
        return local or uploaded
    return max(local, uploaded, key=lambda found: found[0].epoch)


def _keep_initial_weights(config: Config, then: Mapping[str, Any], now: dict[str, Any]) -> None:
    """Take the digest of initial weights from a checkpoint if their file is gone."""
    name, key = config.training.initial_weights, "training.initial_weights"
    if name and not local_path(name).is_file() and key in then.get("settings", {}):
        now["settings"][key] = then["settings"][key]


def _check_none_was_written(checkpoints: Checkpoints, resumption: Resumption) -> None:
    """Raise CheckpointError if the run has written checkpoints, which must be somewhere."""
    if resumption.last_written:
        raise CheckpointError(
            f"run {resumption.run_id} has written a checkpoint after epoch {resumption.last_written}, but there is "
            f"none in {checkpoints.folder}; name its folder with training.checkpoint_dir=FOLDER, or train the run again"
        )


def _check_planned(resumption: Resumption, config: Config, data_digest: str) -> None:
    """Raise CheckpointError if a run without a checkpoint would now be another training than it was begun as."""
    planned = resumption.planned and tracking.fingerprint(config, data_digest)
    if planned != resumption.planned and resumption.on_change == "error":
        raise CheckpointError(
            f"run {resumption.run_id} has no checkpoint, and settings, code or data were changed since it began; start "
            "a new run, or start this one again with on_change=continue"
        )


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
        check_output_folder(_root(config), "training.checkpoint_dir")
    except ConfigError as error:
        if config.training.checkpoint_dir is not None:
            raise
        _warn(f"no checkpoints are written: {error}")
        return False
    return True


def _root(config: Config) -> Path:
    return root_of(config.training.checkpoint_dir, tracking.store_folder(config.tracking.uri))


def origin(config: Config, data_digest: str) -> dict[str, Any]:
    """Return everything that decides a training's result, and the versions of the packages that compute it."""
    versions = {name: version(name) for name in VERSIONS}
    content = tracking.origin_of_result(config, data_digest) | {"versions": versions}
    return dict(json.loads(json.dumps(content)))


@contextmanager
def start_run(
    store: tracking.Store,
    config: Config,
    resumption: Resumption,
    checkpoints: Checkpoints,
    overrides: Sequence[str],
    parent_run_id: str | None,
    tags: Mapping[str, str],
) -> Iterator[tracking.Run]:
    """Yield the run of a training, new or continued, with the epochs that an earlier process trained."""
    epoch = checkpoints.resumed.epoch if checkpoints.resumed else 0
    if config.training.checkpoint_dir is not None or sqlite_file(config.tracking.uri) is None:
        tags = {**tags, tracking.CHECKPOINTS: str(checkpoints.root.absolute())}
    if resumption.run_id is not None or epoch:
        _say_resumed(config, epoch)
        tags = {**tags, **(resumption.tags or {}), tracking.RESUMED: ", ".join([*resumption.resumed_after, str(epoch)])}
        if checkpoints.changes:
            tags[tracking.CHANGED] = _listed(checkpoints.changes)
    run_id = resumption.run_id
    with tracking.start_run(
        store, config, overrides=overrides, parent_run_id=parent_run_id, tags=tags, run_id=run_id
    ) as run:
        if checkpoints.resumed is not None:
            run.log_history(checkpoints.resumed.earlier)
            resumption.on_resume(checkpoints.resumed)
        yield run


def _say_resumed(config: Config, epoch: int) -> None:
    """Print where the training continues, and what may differ from an uninterrupted one."""
    if not epoch:
        console.say("resuming with the first epoch, because there is no checkpoint")
        return
    console.say(f"resuming after epoch {epoch} of {config.training.max_epochs}")
    if not config.training.deterministic:
        console.say(
            "training.deterministic=false: the following epochs may differ in their last digits from those of an "
            "uninterrupted training"
        )
    if not fitting.has_generators(config.augmentation, config.seed):
        console.say(
            f"augmentation={config.augmentation.name}: the images of the following epochs differ from those of an "
            f"uninterrupted training, because the function that {config.augmentation.builds} returns has no attribute "
            "`generators`; set it to the function's Keras SeedGenerators"
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


def _check_origin(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any], on_change: str) -> list[str]:
    """Return the changes of code and packages since a checkpoint, which `on_change=continue` accepts.

    Raises:
        CheckpointError: there are some and they are not accepted, or it is the checkpoint of another training.
    """
    settings = [
        f"{name} was {tracking.as_param(then.get('settings', {}).get(name))}, is {tracking.as_param(value)}"
        for name, value in now["settings"].items()
        if name != EPOCHS and then.get("settings", {}).get(name) != value
    ]
    if then.get("data") != now["data"]:
        settings.append(f"the data was {str(then.get('data'))[:12]}, is {now['data'][:12]} (SHA-256)")
    if settings:
        raise CheckpointError(f"the checkpoint in {folder} is of another training: {_listed(settings)}")
    changes = [
        f"{name} was {then.get('versions', {}).get(name)}, is {value}"
        for name, value in now["versions"].items()
        if then.get("versions", {}).get(name) != value
    ]
    others = [name for name in {*then, *now} - {"settings", "data", "versions"} if then.get(name) != now.get(name)]
    changes += ["the code that decides results was changed" if name == "code" else f"{name} changed" for name in others]
    if changes and on_change != "continue":
        raise CheckpointError(
            f"since the checkpoint in {folder}: {_listed(changes)}. Restore what changed, or resume anyway with "
            "on_change=continue"
        )
    return changes


def _listed(differences: Sequence[str]) -> str:
    more = len(differences) - MAX_LISTED
    return "; ".join(differences[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
