"""A tracked model: its run, the config and data that it was trained with, and its file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from src import datasets, models, saving, tracking
from src.cli.conversion import config_from_dict
from src.errors import DataError, ModelFileError, StoreError
from src.extensions import require_extensions
from src.places import local_path
from src.schema import Config, DatasetConfig, TrackedModelConfig, TrackingConfig, TransferConfig

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TrackedModel:
    """A model that a run trained.

    Attributes:
        run: the run, to read from and to add to.
        config: the configuration of the run.
        file: the `.keras` file of the model, which was checked against its manifest.
    """

    run: tracking.Run
    config: Config
    file: Path

    @property
    def was_mirrored(self) -> bool:
        """True if mirrored images were among the training images; a network that saw none may not recognize them."""
        return self.config.augmentation.mirrored_by is not None

    def load_dataset(self, data_dir: str | None) -> datasets.Dataset:
        """Return the data set that the run was trained on, as much of it as the run used.

        Args:
            data_dir: the folder of the data on this machine; None for the one that the run used.

        Raises:
            DataError: the data cannot be found, or is not what the run was trained on.
            StoreError: the run does not say what it was trained on.
        """
        dataset = load_same_data(self.run, self.config.dataset, data_dir)
        if self.config.training.max_batches is not None:
            dataset = dataset.head(self.config.training.max_batches * self.config.training.batch_size)
        return dataset

    def load_model(self) -> keras.Model:
        """Return the model; this imports TensorFlow.

        Raises:
            ModelFileError: the file is damaged, or contains more than a model.
        """
        return saving.load_model(self.file)


@contextmanager
def open_tracked_model(config: TrackedModelConfig) -> Iterator[TrackedModel]:
    """Yield the model that `run_id` or `model_uri` names.

    A model URI is resolved once: its run and its file belong together even if an alias moves meanwhile. TensorFlow is
    not imported before the model is loaded, so that mistakes are reported at once.

    Raises:
        StoreError: no such run or model, or the run keeps no model.
        ModelFileError: the model's files are missing or altered.
    """
    with tracking.resume_run(config.tracking, run_id=config.run_id, model_uri=config.model_uri) as run:
        trained = trained_config(run)
        with run.model_folder(run.model_uri) as folder:
            yield TrackedModel(run, trained, saving.keras_file(folder))


def trained_config(run: tracking.Run) -> Config:
    """Return the config that the run was trained with.

    Raises:
        ConfigError: it was trained with an extension that is not loaded, or its config has a key or a kind that does
            not exist.
        StoreError: the run has no config.
    """
    require_extensions(run.params, run.run_id)
    config = config_from_dict(run.read_config())
    if epochs := run.tags.get(tracking.EPOCHS):  # typed when the run was resumed
        config = replace(config, training=replace(config.training, epochs=int(epochs)))
    return config


def load_same_data(run: tracking.Run, trained: DatasetConfig, data_dir: str | None) -> datasets.Dataset:
    """Return the data that the run was trained on.

    Args:
        run: it has recorded the digest of the data.
        trained: the config of the data in the run; its splits may differ.
        data_dir: the folder of the data on this machine; None for the one that the run used.

    Raises:
        DataError: the data cannot be found, or is not what the run was trained on.
        StoreError: the run does not say what it was trained on.
    """
    dataset = datasets.load_dataset(locate_dataset(run, trained, data_dir))
    _check_digest(run, dataset)
    return dataset


def locate_dataset(run: tracking.Run, trained: DatasetConfig, data_dir: str | None) -> DatasetConfig:
    """Return the config of the data that the run was trained on, for this machine.

    A run that was trained on a sample is given the sample, even if the full data set can be found now.
    """
    dataset = trained if data_dir is None else datasets.find_below(trained, data_dir)
    source = run.params.get("resolved.data_source")
    return dataset if source is None else dataset.from_source(source)


def check_initial_weights(config: Config) -> None:
    """Check the files that `training.initial_weights` and `model.weights` name, without importing TensorFlow.

    The files of a run on a server are checked when they are loaded, since they would be fetched twice.

    Raises:
        ModelFileError: a file is missing, altered or not a model; see `open_initial_run` for those of a run.
        StoreError: the store does not answer.
    """
    name = config.training.initial_weights
    if not name:
        if isinstance(config.model, TransferConfig):
            models.find_weights(config.model)
    elif (file := local_path(name)).is_file():
        saving.check_format(file)
    elif not re.fullmatch(r"[0-9a-f]{32}", name):
        raise ModelFileError(f"training.initial_weights={name}: it is neither a file nor the id of a run")
    else:
        with open_initial_run(config.tracking, name) as run:
            if run.folder is not None:
                with run.model_folder() as folder:
                    saving.keras_file(folder)


@contextmanager
def open_initial_run(config: TrackingConfig, run_id: str) -> Iterator[tracking.Run]:
    """Yield the run that `training.initial_weights` names.

    Raises:
        ModelFileError: the run does not exist, has not ended or keeps no model. In a sweep, its trial alone fails.
        StoreError: the store does not answer.
    """
    try:
        with tracking.resume_run(config, run_id=run_id) as run:
            yield run
    except StoreError as error:
        if tracking.is_outage(error):
            raise
        raise ModelFileError(f"training.initial_weights={run_id}: {error}") from error


def _check_digest(run: tracking.Run, dataset: datasets.Dataset) -> None:
    source, digest = run.params.get("resolved.data_source"), run.param("resolved.data_digest")
    if digest != dataset.digest:
        raise DataError(
            f"the {dataset.name} found here ({dataset.source}, digest {dataset.digest[:12]}) is not what run "
            f"{run.run_id} was trained on ({source}, digest {digest[:12]}), and may contain its training images; "
            "name the folder of the right data: data_dir=FOLDER"
        )
