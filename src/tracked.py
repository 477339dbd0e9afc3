"""The data and the model of a tracked run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src import datasets, saving, tracking
from src.errors import DataError
from src.schema import Config, DatasetConfig

if TYPE_CHECKING:
    import keras


def load_tracked_dataset(run: tracking.Run, trained: Config, data_dir: str | None) -> datasets.Dataset:
    """The data set that the run was trained on, as much of it as the run used.

    Args:
        run: says what was found when it was trained.
        trained: its config.
        data_dir: where the data is on this machine; None: where the run found it.

    Raises:
        DataError: the data cannot be found, or is not what the run was trained on.
    """
    dataset = datasets.load_dataset(as_found(run, trained, data_dir))
    if trained.training.max_batches is not None:
        dataset = dataset.head(trained.training.max_batches * trained.training.batch_size)
    _check_digest(run, dataset)
    return dataset


def as_found(run: tracking.Run, trained: Config, data_dir: str | None) -> DatasetConfig:
    """The data set's config, looking for what was found when the run was trained, whatever can be found now."""
    wanted = trained.dataset if data_dir is None else datasets.find_below(trained.dataset, data_dir)
    source = run.params.get("resolved.data_source")
    return wanted if source is None else wanted.from_source(source)


def load_tracked_model(run: tracking.Run, model_uri: str | None) -> keras.Model:
    """The model that the run keeps, or the one behind the URI.

    Raises:
        StoreError: the run keeps no model.
        ModelFileError: the model's files are missing or altered.
    """
    with run.model_folder(model_uri) as folder:
        return saving.load_model(saving.keras_file(folder))


def _check_digest(run: tracking.Run, dataset: datasets.Dataset) -> None:
    source, digest = run.params.get("resolved.data_source"), run.params.get("resolved.data_digest", "")
    if digest != dataset.digest:
        raise DataError(
            f"the {dataset.name} found here ({dataset.source}, digest {dataset.digest[:12]}) is not what run "
            f"{run.run_id} was trained on ({source}, digest {digest[:12]}), and may hold its training images; "
            "name the folder of the right data: data_dir=FOLDER"
        )
