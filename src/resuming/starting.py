"""The start of a training: its checkpoints, with the one from which it continues, and its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from src import console, fitting, tracking
from src.checkpointing import Checkpoint, Checkpoints, may_be_whole, newest, newest_epoch
from src.errors import CheckpointError
from src.resuming.finding import Found, Resumption
from src.resuming.origin import check_origin, keep_initial_weights, listed, origin
from src.resuming.places import can_write, folder_tags, root, warn
from src.schema import Config, TransferConfig
from src.tracked import check_initial_weights


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
        root(config),
        resumption.key or resumption.run_id,
        minutes,
        origin=now,
        report=console.say,
        is_stopping=resumption.is_stopping,
    )
    if checkpoints.key is None:
        return checkpoints
    try:
        found = _candidates(checkpoints, resumption)
        if not found:
            _check_none_was_written(checkpoints, resumption)
            _check_planned(resumption, config, data_digest)
            return checkpoints
        checkpoint, changes = _first_accepted(found, checkpoints, config, now, resumption)
    except CheckpointError as error:
        if resumption.on_change != "restart" or may_be_whole(error):
            raise
        console.warn([f"{error}. The training starts again from the first epoch"])
        checkpoints.is_replacing = True
        return checkpoints
    _warn_if_another_is_newer(checkpoint, checkpoints, resumption)
    checkpoints.resume_from(checkpoint, changes)
    return checkpoints


def with_initial_weights(config: Config, checkpoints: Checkpoints) -> Config:
    """Return the config with the initial weights that are still needed, which are checked.

    A checkpoint replaces them, so their file may be gone. That of a classifier on a frozen backbone has no backbone.
    """
    if checkpoints.resumed is not None and not isinstance(config.model, TransferConfig):
        config = replace(config, training=replace(config.training, initial_weights=None))
    check_initial_weights(config)
    return config


def tags_of(config: Config, resumption: Resumption, checkpoints: Checkpoints) -> Mapping[str, str]:
    """Return the tags of the run: the folder of its checkpoints, the epochs after which it was resumed, the changes."""
    epoch = checkpoints.resumed.epoch if checkpoints.resumed else 0
    tags = dict(folder_tags(config))
    if resumption.run_id is None and not epoch:
        return tags
    tags |= {**(resumption.tags or {}), tracking.RESUMED: ", ".join([*resumption.resumed_after, str(epoch)])}
    return tags | ({tracking.CHANGED: listed(checkpoints.changes)} if checkpoints.changes else {})


def continue_run(run: tracking.Run, config: Config, resumption: Resumption, checkpoints: Checkpoints) -> None:
    """Record the epochs that an earlier process trained, and print where the training continues.

    The run is that of this process now, so checkpoints that are not used can be removed.
    """
    checkpoints.remove_unused()
    if checkpoints.resumed is not None:
        _say_resumed(config, checkpoints.resumed.epoch)
        run.log_history(checkpoints.resumed.earlier)
        resumption.on_resume(checkpoints.resumed)
    elif resumption.run_id is not None:
        console.say("resuming from the first epoch, because the run has no checkpoint")


def _say_resumed(config: Config, epoch: int) -> None:
    """Print where the training continues, and what may differ from an uninterrupted one."""
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


def _candidates(checkpoints: Checkpoints, resumption: Resumption) -> list[Found]:
    """Return the newest checkpoint of the folder and the one that was uploaded, the later epoch first.

    Raises:
        CheckpointError: there are some in the folder, and none of them can be read.
    """
    found = [found for found in (newest(checkpoints.folder, warn), resumption.uploaded) if found is not None]
    return sorted(found, key=lambda candidate: -candidate[0].epoch)


def _first_accepted(
    candidates: Sequence[Found], checkpoints: Checkpoints, config: Config, now: dict[str, Any], resumption: Resumption
) -> tuple[Checkpoint, list[str]]:
    """Return the checkpoint from which the training continues, and what has changed since it.

    An older one is tried only if the training would start again from the first epoch otherwise.

    Raises:
        CheckpointError: settings, data, code or packages changed since the first candidate, and since all others.
    """
    refused: list[CheckpointError] = []
    for candidate in candidates:
        checkpoint, then = candidate
        try:
            keep_initial_weights(config, then, now)
            changes = check_origin(checkpoints.folder, then, now, resumption.on_change)
        except CheckpointError as error:
            if resumption.on_change != "restart":
                raise
            refused.append(error)
            continue
        if refused:
            console.warn(
                [f"{refused[0]}. The training continues from an older checkpoint, after epoch {checkpoint.epoch}"]
            )
            # Those of the folder must not become a part of later ones.
            checkpoints.is_replacing = candidate is resumption.uploaded
        return checkpoint, changes
    raise refused[0]


def _warn_if_another_is_newer(checkpoint: Checkpoint, checkpoints: Checkpoints, resumption: Resumption) -> None:
    """Warn if the run has written a later checkpoint, which must be elsewhere."""
    if max(checkpoint.epoch, newest_epoch(checkpoints.folder)) < resumption.last_written:
        warn(
            f"run {resumption.run_id} has written a checkpoint after epoch {resumption.last_written}, but the newest "
            f"one here is that of epoch {checkpoint.epoch}; if another machine has it, stop this training and name its "
            "folder with training.checkpoint_dir=FOLDER"
        )


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
