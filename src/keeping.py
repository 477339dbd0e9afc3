"""A run's trained weights: a check for disk space before training, and saving them however the run ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src import console, datasets, saving, tracking
from src.cli.mistakes import quoted
from src.errors import NotEnoughSpace, TrainingDiverged
from src.process.interrupt import deferred
from src.schema import Config

if TYPE_CHECKING:
    import keras


EXAMPLES = 16  # test images that the saved formats must agree on, and that are stored with an MLflow model
QUICK = ("model.keras",)  # the format of which a model is kept where time counts
MARGIN = 2**20  # bytes for figures, tables and the database
EXAMPLE_BYTES = 42  # of JSON for each pixel of these images, in the two copies that MLflow stores
RESCUED = ".weights"  # the folder of weights that no run could keep


def check_space(run: tracking.Run, model: keras.Model, is_light: bool) -> None:
    """Raise NotEnoughSpace unless the disk has room for what the run keeps of its model."""
    if run.run_id is None:
        return
    kept = sum(saving.file_size(model, name) for name in (QUICK if is_light else saving.formats_for(model)))
    pixels = model.input.shape[1] * model.input.shape[2] * model.input.shape[3]
    logged = 0 if is_light else saving.file_size(model) + EXAMPLES * EXAMPLE_BYTES * pixels
    if run.folder is None:  # on a server: one after the other is prepared here, then sent
        needed, remedy = max(kept, logged), "set TMPDIR to a folder with more space"
    else:  # MLflow prepares its model, then copies it
        needed, remedy = kept + 2 * logged, "set tracking.uri to a place with more space"
    try:
        folder = run.folder or Path(tempfile.gettempdir())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise NotEnoughSpace(f"there is no folder for temporary files ({error}); set TMPDIR to one") from error
    if needed + MARGIN > free:
        raise NotEnoughSpace(
            f"saving {model.name} needs {_megabytes(needed + MARGIN)} of disk space, but only {_megabytes(free)} are "
            f"free in {folder}; free some space, {remedy}, or save no model: tracking.save_model=false"
        )


def keep_model(
    run: tracking.Run, model: keras.Model, dataset: datasets.Dataset, formats: tuple[str, ...] | None = None
) -> None:
    """Puts the model's files, checked by reading them back, into the run's folder `model/`."""
    if run.run_id is None:
        return
    with run.new_folder("model") as folder:
        saving.save_model(model, folder, dataset.test.images[:EXAMPLES], formats or saving.formats_for(model))


def keep_last_epoch(run: tracking.Run, model: keras.Model, dataset: datasets.Dataset) -> None:
    """Save the last epoch's weights of an interrupted training; an error here must not hide the interruption."""
    console.say("stopping: saving the last epoch's weights")
    try:
        keep_model(run, model, dataset, QUICK)
    except Exception as error:
        console.say(f"the weights could not be saved: {type(error).__name__}: {error}")
    else:
        console.say(f"continue from them with training.initial_weights={run.run_id}")


@dataclass
class Trained:
    """Trained weights that a failure must not lose; `model` is None while there are none worth saving."""

    run: tracking.Run | None = None
    model: keras.Model | None = None
    dataset: datasets.Dataset | None = None
    is_kept: bool = False

    def set(self, run: tracking.Run, model: keras.Model, dataset: datasets.Dataset) -> None:
        """Note that the model has trained weights, and the run that they belong to."""
        self.run, self.model, self.dataset = run, model, dataset


@contextmanager
def weights_rescued(config: Config, only_in_run: bool) -> Iterator[Trained]:
    """Save the trained weights when the block fails, and add a note to the error that says where they are.

    Args:
        config: of the run.
        only_in_run: True to write nothing outside the store.
    """
    trained = Trained()
    try:
        yield trained
    except TrainingDiverged:
        raise
    except Exception as error:
        if trained.run is not None and trained.run.run_id and config.tracking.save_model:
            with deferred():
                error.add_note(_rescue(trained, config.tracking.uri, only_in_run))
        raise


def _rescue(trained: Trained, uri: str, only_in_run: bool) -> str:
    """Save the weights in the run, else in the first folder that can be written, and return where. Never raises."""
    run, dataset = trained.run, trained.dataset
    assert run is not None
    assert dataset is not None
    has_ended = run.status != "RUNNING"  # else the store cannot be written, and no training can start from the run
    reason = "the store cannot be written"
    if has_ended and not trained.is_kept:
        try:
            keep_model(run, trained.model, dataset, QUICK)
            trained.is_kept = True
        except Exception as error:
            reason = str(error)
    if has_ended and trained.is_kept:
        return (
            f"the trained weights are kept in run {run.run_id}: continue from them with "
            f"training.initial_weights={run.run_id}, or score them with python -m src.evaluate run_id={run.run_id}"
        )
    if trained.is_kept and run.folder is not None:
        return _continue_from(saving.keras_file(run.folder / "model"))
    folders: list[Callable[[], Path]] = [
        lambda: tracking.store_folder(uri) / RESCUED,
        lambda: Path(tempfile.mkdtemp(prefix=f"{RESCUED}-")),
        lambda: Path.cwd() / RESCUED,
    ]
    for find_folder in [] if only_in_run else folders:
        try:
            file = find_folder() / f"{run.run_id}.keras"
            saving.save_weights(trained.model, file)
        except Exception as error:
            reason = str(error)
        else:
            return _continue_from(file)
    return f"the trained weights could not be saved: {reason}"


def _continue_from(file: Path) -> str:
    typed = f"training.initial_weights={file}"
    if not str(file).replace("/", "").replace("-", "").replace("_", "").replace(".", "").isalnum():
        typed = f"'training.initial_weights={quoted(str(file))}'"
    return f"the trained weights are kept in {file}: continue from them with {typed}"


def _megabytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MB"
