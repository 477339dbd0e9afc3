"""Making a picture in a run of its own, which can be interrupted and resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from src import console, fitting, links, tracking
from src.art.pictures import check_picture, encode, write_picture
from src.checkpointing import Arrays, Checkpoint, Checkpoints, may_be_whole, newest, root_of
from src.cli.changes import split_changes
from src.cli.conversion import with_stored
from src.errors import CheckpointError, ConfigError, TrainingDiverged
from src.places import check_output_folder, local_path, store_folder
from src.process.interrupt import deferred, release
from src.results import ArtResult
from src.schema import ArtConfig, Config, TransferConfig, as_tree
from src.tracked import TrackedModel, open_tracked_model

if TYPE_CHECKING:
    import keras

    from src.art.work import Work

PICTURE = "picture.png"  # the artifact
FREE = ("tracking", "output", "checkpoint_minutes", "run_id", "model_uri")  # change no picture, or are in the digest
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "pillow")
Settings = TypeVar("Settings", bound=ArtConfig)


def make_picture(
    config: Settings,
    begin: Callable[[keras.Model, Settings], Work],
    command: str,
    overrides: Sequence[str] = (),
) -> ArtResult:
    """Make a picture in a run of its own, and write it into the file `config.output`.

    An interrupted run with the same settings, network and pictures is continued, and so is the one that
    `config.resume` names. The picture is then the same as if it had never been interrupted.

    Args:
        config: of the command. With `resume`, its own settings are those of the run, except for the store and what
            was typed.
        begin: returns the picture before its first step, from the network and the config.
        command: `dream` or `style`.
        overrides: what was typed.

    Raises:
        StoreError: no such run or model, or one that cannot be resumed.
        ModelFileError: the model's files are missing or altered.
        CheckpointError: the run that is resumed would not continue with the same picture.
        UserError: the network or the pictures cannot be used; the message says what to do.
    """
    store, run_id = None, None
    if config.resume is not None:
        store, config = _resumed(config, command, overrides)
        run_id = config.resume
    _check_places(config)
    with open_tracked_model(config) as tracked:
        fitting.seed_everything(config.seed, deterministic=True)
        work = begin(tracked.load_model(), config)
        console.warn([*work.notes, *_notes(tracked.config)])
        origin = _origin(config, tracked, work, command)
        fingerprint = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
        store = store or tracking.open_store(config.tracking, console.say)
        if run_id is None:
            run_id = next(iter(tracking.interrupted_runs(store, fingerprint, None)), None)
        checkpoints = _checkpoints(config, run_id, origin)
        if run_id is not None:
            _continue(work, checkpoints, config.resume is not None)
        tags = {
            "model": tracked.config.model.name,
            "made_with": str(tracked.run.run_id),
            tracking.ART: command,
            tracking.PLANNED: fingerprint,
        }
        source = tracked.run.tags.get("mlflow.runName") or tracked.run.run_id
        name = config.tracking.run_name or f"{command} of {source}"
        stored = replace(config, resume=None)
        with tracking.start_art_run(store, stored, name, tags, overrides, run_id) as run:
            run.promise_images()
            run.log_params({f"resolved.{key}": value for key, value in work.settings().items()})
            checkpoints.key = run.run_id
            metrics = _draw(work, run, checkpoints, config, command)
            _keep(work, run, config)
            checkpoints.delete()
            height, width = work.picture.shape[:2]
            run.describe(f"`src.{command}` made this picture with the network of run {tracked.run.run_id}.")
            return ArtResult(
                run_id=run.run_id,
                experiment_id=run.experiment_id,
                output=config.output,
                height=height,
                width=width,
                metrics=metrics,
            )


def _resumed(config: Settings, command: str, overrides: Sequence[str]) -> tuple[tracking.Store, Settings]:
    """Return the store and the settings of the interrupted run that `config.resume` names."""
    if changes := split_changes(overrides)[1]:
        raise ConfigError(
            f"{changes[0]}: a resumed run keeps its own settings; remove `{changes[0]}`. Only output and "
            "tracking.uri can be changed"
        )
    store, run = tracking.interrupted_run(config.tracking, str(config.resume), console.say, art=command)
    is_typed = any(typed.startswith("output=") for typed in overrides)
    stored = with_stored(config, run.read_settings())
    return store, replace(stored, resume=config.resume, output=config.output if is_typed else stored.output)


def _notes(trained: Config) -> list[str]:
    """Return what a user should know about the network."""
    if isinstance(trained.model, TransferConfig) and trained.model.weights is None:
        return [
            f"the backbone {trained.model.backbone} was trained with model.weights=null, so it has random weights and "
            "knows few patterns; train the run again with model.weights=imagenet, or with the path of a weights file"
        ]
    return []


def _check_places(config: ArtConfig) -> None:
    """Raise an error for a picture that cannot be read, or a file that cannot be written, before anything slow."""
    for key, name in config.pictures.items():
        check_picture(name, key)
    file = local_path(config.output)
    check_output_folder(file.absolute().parent, "output")
    if file.is_dir():
        raise ConfigError(f"output: {file} is a folder; give the name of a file")
    for key, name in config.pictures.items():
        if file.exists() and file.samefile(local_path(name)):
            raise ConfigError(f"output: {file} is also {key}=, which would be replaced; name another file")


def _origin(config: ArtConfig, tracked: TrackedModel, work: Work, command: str) -> dict[str, Any]:
    """Return what the picture depends on."""
    settings = {key: value for key, value in as_tree(config).items() if key not in (*FREE, *config.pictures)}
    with tracked.file.open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
    packages = {name: version(name) for name in PACKAGES}
    return {
        "settings": {"command": command, **settings},
        "model": model,
        "pictures": dict(work.inputs),
        "packages": packages,
        "code": tracking.code_digest(),
    }


def _checkpoints(config: ArtConfig, run_id: str | None, origin: dict[str, Any]) -> Checkpoints:
    root = root_of(None, store_folder(config.tracking.uri))
    return Checkpoints(root, run_id, config.checkpoint_minutes, origin=origin, report=console.say)


def _continue(work: Work, checkpoints: Checkpoints, is_requested: bool) -> None:
    """Continue from the newest checkpoint of the run, or from the first step without one.

    Raises:
        CheckpointError: it cannot be read, or belongs to another picture.
    """
    try:
        found = newest(checkpoints.folder, lambda sentence: console.warn([sentence]))
    except CheckpointError as error:
        if is_requested or may_be_whole(error):
            raise
        console.warn([f"{error}. The picture begins with the first step"])
        checkpoints.delete()
        found = None
    if found is None:
        console.say("resuming from the first step, because the run has no checkpoint")
        return
    checkpoint, then = found
    if changed := [key for key, value in checkpoints.origin.items() if then.get(key) != value]:
        raise CheckpointError(
            f"run {checkpoints.key} cannot be resumed, because these have changed since: {', '.join(changed)}; begin a "
            "new picture: type its settings without resume"
        )
    work.restore(checkpoint.epoch, checkpoint.arrays["state"].values)
    checkpoints.resume_from(checkpoint)
    checkpoints.remove_unused()
    console.say(f"resuming after step {work.done} of {work.total}")


def _draw(work: Work, run: tracking.Run, checkpoints: Checkpoints, config: ArtConfig, command: str) -> dict[str, float]:
    """Make the steps that are left, record each of them, and return the metrics of the last one."""
    metrics: dict[str, float] = {}
    size = sum(array.nbytes for array in work.arrays())
    try:
        with deferred(), console.progress(f"{command}, steps", work.total) as advance:  # a signal waits for a step
            advance(work.done)
            while work.done < work.total:
                metrics = work.step()
                run.log_metrics(metrics, work.done)
                if work.is_shown:
                    run.log_image(command, work.done, work.pixels)
                    height, width = work.picture.shape[:2]
                    console.say(f"step {work.done} of {work.total} ({height}x{width})  loss {metrics['loss']:.4g}")
                checkpoints.end_epoch(size, lambda: _checkpoint(work))
                advance(1)
                release()
    except KeyboardInterrupt:
        _say_stopped(work, run, checkpoints, config, command)
        raise
    except TrainingDiverged:  # it would diverge again
        checkpoints.delete()
        raise
    return metrics


def _checkpoint(work: Work) -> Checkpoint:
    return Checkpoint(work.done, {}, {"state": Arrays(work.done, work.arrays())})


def _say_stopped(work: Work, run: tracking.Run, checkpoints: Checkpoints, config: ArtConfig, command: str) -> None:
    """Write the last step, and print how to continue."""
    if run.run_id is None:
        return
    if checkpoints.write_latest():
        console.say(f"stopped after step {checkpoints.written} of {work.total}")
    console.say(f"resume with: {links.resume_art_command(command, config.tracking.uri, run.run_id)}")


def _keep(work: Work, run: tracking.Run, config: ArtConfig) -> None:
    """Write the finished picture into the run and into the file."""
    with deferred():
        run.log_bytes(PICTURE, encode(work.pixels))
        write_picture(work.pixels, Path(local_path(config.output)))
