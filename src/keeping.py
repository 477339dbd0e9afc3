"""Keeping a run's trained weights: a check for disk space before training, and saving them however the run ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src import console, datasets, links, models, saving, tracking
from src.checkpointing import Checkpoints
from src.cli.mistakes import quoted
from src.errors import ModelFileError, NotEnoughSpace, StoreError, TrainingDiverged, UserError
from src.places import store_folder
from src.process.interrupt import Abandoned, deferred
from src.results import MEGABYTE
from src.schema import MLFLOW, Config

if TYPE_CHECKING:
    import keras


EXAMPLES = 16  # test images that the saved formats must agree on, and that are stored with an MLflow model
QUICK = ("model.keras",)  # the format that is saved if time matters
MARGIN = 2**20  # bytes for figures, tables and the database
EXAMPLE_BYTES = 42  # of JSON for each pixel of these images, in the two copies that MLflow stores
RESCUED = ".weights"  # the folder of weights that no run could keep


class Keeper:
    """Keeps the model of one training. Which one, and in which formats, is decided here and nowhere else.

    - An untracked training and one with `tracking.save_model=false` keep nothing.
    - A finished training keeps the best epoch's model, unless `worth_keeping` returns False: in each of
      `tracking.formats`, or with `tracking.detail=light` as `model.keras` alone.
    - An interrupted training keeps the weights of its last complete epoch, as `model.keras`, and its last checkpoint.
    - A failed training does the same. If its run cannot be written, the weights are saved next to the store.
    - A failed trial keeps nothing unless it has been trained to its end, and nothing outside its run.
    - A diverged training keeps nothing.
    - The checkpoints of a training that is finished or diverged are removed. Those of a trial are left to its sweep.

    Args:
        config: the configuration of the training.
        is_trial: whether the training has observers, which retry it or give it up when it fails.
        worth_keeping: called with the metrics of the best epoch.
        checkpoints: of the training.
    """

    def __init__(
        self,
        config: Config,
        is_trial: bool = False,
        worth_keeping: Callable[[Mapping[str, float]], bool] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.config = config
        self.checkpoints = checkpoints or Checkpoints(Path(), None, None)
        self.run: tracking.Run = tracking.NullRun()
        self.is_trial = is_trial
        self.worth_keeping = worth_keeping
        self.is_wanted = config.tracking.enabled and config.tracking.save_model
        is_light = config.tracking.detail == "light"
        self.formats = QUICK if is_light else saving.files_of(config.tracking.formats)
        self.logs_model = MLFLOW in config.tracking.formats and not is_light
        self.is_kept = False
        self.record_interruption: Callable[[], None] = lambda: None  # called if the training fails or is interrupted
        self.is_fitting = True
        self.has_weights = False  # from a complete epoch, which a failure would lose
        self.last_epoch = 0  # the last complete one, 0 before it

    def open(self, run: tracking.Run) -> None:
        """Note the run, after which checkpoints are named, and record each of them in it."""
        self.run = run
        self.checkpoints.key = self.checkpoints.key or run.run_id
        self.checkpoints.on_write = lambda written: run.log_metrics(
            {"checkpoint/seconds": written.seconds, "checkpoint/megabytes": written.size / MEGABYTE}, written.epoch
        )

    def start(self, model: keras.Model, dataset: datasets.Dataset) -> None:
        """Note what will be trained in the run.

        Raises:
            NotEnoughSpace: the disk has no room for the model.
            ModelFileError: it is a user's network, which could not be read back.
        """
        self.model, self.images = model, dataset.test.images[:EXAMPLES]
        if self.is_wanted:
            if self.config.model.is_foreign:
                saving.check_savable(model)
            check_space(self.run, model, saving.formats_for(model, self.formats), self.logs_model)

    def note_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Note that the model has weights of a complete epoch; an observer of `fitting.fit`."""
        self.has_weights, self.last_epoch = True, epoch

    def finish(self, model: keras.Model, metrics: Mapping[str, float]) -> None:
        """Save the model of a finished training in the run if it is worth keeping.

        Args:
            model: the model to save, which is not always the one that was trained.
            metrics: those of its best epoch.
        """
        self.model, self.is_fitting = model, False
        self.has_weights = self.is_wanted and (self.worth_keeping is None or self.worth_keeping(metrics))
        if self.has_weights:
            self._save(saving.formats_for(model, self.formats))

    def log_model(self, step: int) -> None:
        """Log the model that was saved as an MLflow model, with the metrics of this epoch, if it is wanted."""
        if self.is_kept and self.logs_model and not self._is_logged():
            bare = saving.uncompiled(self.model)
            with saving.unregistered(bare):
                self.run.log_model(bare, self.config.model.name, self.images, models.predict(bare, self.images), step)

    def _is_logged(self) -> bool:
        """Return True if this very model was logged before the training was interrupted; remove another one."""
        if not (self.run.is_continued and self.run.model_ids):
            return False
        with suppress(UserError), self.run.logged_model_folder() as folder:
            logged = saving.load_model(saving.keras_file(folder)).get_weights()
            weights = self.model.get_weights()
            if len(logged) == len(weights) and all(map(np.array_equal, logged, weights)):
                return True
        self.run.remove_models()
        return False

    @contextmanager
    def rescuing(self) -> Iterator[None]:
        """Save trained weights if the block fails or is interrupted, after its run has ended.

        An error gets a note that says where the weights are, and one with the command that delivers what the store did
        not take.
        """
        try:
            yield
        except TrainingDiverged as error:
            self._remove_checkpoints()
            self._record_what_waits(error)
            raise
        except Abandoned:
            raise
        except KeyboardInterrupt:
            with deferred():
                self._keep_interrupted()
                self.record_interruption()  # last: it may take a while
            if self.run.undelivered:
                _say(self.run.undelivered.advice)
            raise
        except Exception as error:
            if self.is_wanted and self.has_weights and not (self.is_trial and self.is_fitting):
                with deferred():
                    error.add_note(self._rescue())
            # A store, a disk or too little memory say nothing about the training, and it may be resumed elsewhere.
            if isinstance(error, StoreError) or not self.is_trial:
                self._write_checkpoint()
            self._record_what_waits(error)
            raise
        self._remove_checkpoints()

    def _record_what_waits(self, error: BaseException) -> None:
        """Record what waits for the end of a training that failed, and note with the error what could not be sent.

        A signal ends this, and the error is reported all the same, except that a trial ends as interrupted.
        """
        with nullcontext() if self.is_trial else suppress(KeyboardInterrupt):
            self.record_interruption()
        if self.run.undelivered:
            error.add_note(self.run.undelivered.advice)

    def _save(self, formats: tuple[str, ...]) -> None:
        save_in_run(self.run, self.model, self.images, formats)
        self.is_kept = True

    def _keep_interrupted(self) -> None:
        """Save the last complete epoch; a problem here must not hide the interruption."""
        if self.run.status == "FINISHED":  # the interrupt came too late
            self._remove_checkpoints()
            return
        has_checkpoint = self._write_checkpoint()  # first: it has everything
        if has_checkpoint and self.config.training.checkpoint_upload and not self.is_trial:
            self._upload_checkpoint()
        if self.is_wanted and self.has_weights and self.is_fitting:
            _say("stopping: saving the last complete epoch")
            try:
                self._save(QUICK)
            except Exception as error:
                if (file := self._undelivered_file()) is not None:
                    _say(_continue_from(file))
                else:
                    _say(f"the weights could not be saved: {type(error).__name__}: {error}")
        if self.run.run_id is None or self.is_trial:
            return
        if has_checkpoint or not self.has_weights:
            if 0 < self.checkpoints.written < self.last_epoch:
                _say(f"the last checkpoint is that of epoch {self.checkpoints.written}; later epochs are trained again")
            finds_run = self.config.tracking.on_duplicate == "reuse"
            other = links.resume_command(self.config.tracking.uri, self.run.run_id)
            _say(f"resume with: {links.same_command() if finds_run else other}")
        elif self.is_kept:
            is_off = self.config.training.checkpoint_minutes is None
            reason = " (training.checkpoint_minutes=null)" if is_off else ""
            _say(
                f"no checkpoint was written{reason}; continue from the weights of the run with "
                f"training.initial_weights={self.run.run_id}"
            )

    def _write_checkpoint(self) -> bool:
        """Write the last complete epoch, and return True if there is a checkpoint now. Never raises."""
        with suppress(StoreError, OSError):  # its figures cannot be recorded, or the terminal was closed
            self.checkpoints.write_latest()
            self.run.flush()
        return self.checkpoints.is_written

    def _upload_checkpoint(self) -> None:
        """Store the last checkpoint as an artifact of the run, so that another machine can continue from it."""
        try:
            with self.run.new_folder(tracking.UPLOADED) as folder:
                shutil.copytree(self.checkpoints.folder, folder)
        except Exception as error:
            _say(f"the checkpoint could not be uploaded: {type(error).__name__}: {error}")

    def _remove_checkpoints(self) -> None:
        if not self.is_trial:
            self.checkpoints.delete()

    def _rescue(self) -> str:
        """Save the weights in the run, else in the first folder that can be written, and return where. Never raises."""
        run_id = self.run.run_id
        has_ended = self.run.status != "RUNNING"  # else the store cannot be written, and the run cannot be resumed
        reason = "the store cannot be written"
        is_cut_off = self.run.is_cut_off and not self.is_trial and self._undelivered_file() is None
        if (has_ended or is_cut_off) and not self.is_kept:
            try:
                self._save(QUICK)
            except Exception as error:
                reason = str(error)
        if has_ended and self.is_kept:
            return (
                f"the trained weights are in run {run_id}: continue from them with training.initial_weights={run_id}, "
                f"or score them with python -m src.evaluate run_id={run_id}"
            )
        if self.is_kept and self.run.folder is not None:
            return _continue_from(saving.keras_file(self.run.folder / "model"))
        if (file := self._undelivered_file()) is not None:
            return _continue_from(file)
        for find_folder in [] if self.is_trial else self._folders():
            try:
                file = find_folder() / f"{run_id}.keras"
                saving.save_weights(self.model, file)
            except Exception as error:
                reason = str(error)
            else:
                return _continue_from(file)
        return f"the trained weights could not be saved: {reason}"

    def _undelivered_file(self) -> Path | None:
        """Return the file of weights that waits for the store to answer again, None if there is none."""
        if self.run.undelivered is None:
            return None
        try:
            return saving.keras_file(self.run.undelivered.artifacts / "model")
        except ModelFileError:
            return None

    def _folders(self) -> list[Callable[[], Path]]:
        """Return functions that find a folder for weights that the run cannot keep, the best one first."""
        return [
            lambda: store_folder(self.config.tracking.uri) / RESCUED,
            lambda: Path(tempfile.mkdtemp(prefix=f"{RESCUED}-")),
            lambda: Path.cwd() / RESCUED,
        ]


def save_in_run(run: tracking.Run, model: keras.Model, images: np.ndarray, formats: tuple[str, ...]) -> None:
    """Save the model in the run's folder `model/`, and check each format by reading it back."""
    with run.new_folder("model") as folder:
        saving.save_model(model, folder, images, formats)


def check_space(run: tracking.Run, model: keras.Model, formats: tuple[str, ...], logs_model: bool) -> None:
    """Raise NotEnoughSpace unless the disk has room for the model in these formats, and for an MLflow model."""
    saved = sum(saving.file_size(model, name) for name in formats)
    pixels = model.input.shape[1] * model.input.shape[2] * model.input.shape[3]
    logged = saving.file_size(model) + EXAMPLES * EXAMPLE_BYTES * pixels if logs_model else 0
    if run.folder is None:  # on a server: one after the other is prepared here, then sent
        needed, remedy = max(saved, logged), "set TMPDIR to a folder with more space"
    else:  # MLflow prepares its model, then copies it
        needed, remedy = saved + 2 * logged, "set tracking.uri to a place with more space"
    try:
        folder = run.folder or Path(tempfile.gettempdir())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise NotEnoughSpace(f"there is no folder for temporary files ({error}); set TMPDIR to one") from error
    if needed + MARGIN > free:
        raise NotEnoughSpace(
            f"saving {model.name} needs {console.size(needed + MARGIN)} of disk space, but only {console.size(free)} "
            f"are free in {folder}; free some space, {remedy}, or save no model: tracking.save_model=false"
        )


def _continue_from(file: Path) -> str:
    override = f"training.initial_weights={file}"
    if not str(file).replace("/", "").replace("-", "").replace("_", "").replace(".", "").isalnum():
        override = f"'training.initial_weights={quoted(str(file))}'"
    return f"the trained weights are in {file}: continue from them with {override}"


def _say(text: str) -> None:
    """Print a line, unless the terminal was closed."""
    with suppress(OSError):
        console.say(text)
