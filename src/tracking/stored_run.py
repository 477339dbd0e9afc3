"""Reading one run: its config, its params, its model."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from src.errors import NotKept, StoreError, first_line
from src.tracking.artifacts import Artifacts, reading_model
from src.tracking.tags import ART, is_parent, read_tag

CONFIG = "config/config.yaml"
SETTINGS = "config/settings.yaml"  # of a run that trains nothing
OVERRIDES = "config/overrides.yaml"


class StoredRun:
    """An MLflow run that can be read; `Run` adds recording.

    Attributes:
        run_id: the id of the run, None when tracking is off.
        experiment_id: the id of its experiment.
        params, tags: those of a run that was found or resumed, and the params that were logged since.
        status: RUNNING, FINISHED, FAILED or KILLED.
        end_time: in ms since 1970, of a run that has ended and in which nothing ran since, else None.
        model_ids: the ids of the MLflow models that it has logged.
        model_uri: of the model that the run was found by, with a fixed version; None if it was found by its id.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str, experiment_id: str, artifacts: Artifacts) -> None:
        self._init_state(run_id, experiment_id)
        self._client = client
        self._id = run_id
        self._artifacts = artifacts

    def _init_state(self, run_id: str | None, experiment_id: str) -> None:
        self.run_id = run_id
        self.experiment_id = experiment_id
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.status = "RUNNING"
        self.end_time: int | None = None
        self.model_ids: list[str] = []
        self.model_uri: str | None = None

    @property
    def folder(self) -> Path | None:
        """The folder of the run's artifacts on this disk, None when they are behind a server."""
        return self._artifacts.folder

    def reading(self, path: str) -> contextlib.AbstractContextManager[Path]:
        """Yield the artifact at `path`, which must not be changed; raises NotKept when there is none."""
        return self._artifacts.reading(path)

    def param(self, name: str) -> str:
        """Return a param that every complete training has.

        Raises:
            StoreError: the run does not have it.
        """
        if name not in self.params:
            raise StoreError(f"run {self._id} has no param {name}: its record is incomplete; train it again")
        return self.params[name]

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were kept, counted from 1; 0 in a run without one."""
        return int(self.params.get("resolved.best_epoch", 0))

    def read_config(self) -> dict[str, Any]:
        """Return the resolved config that the run was trained with.

        Raises:
            StoreError: the run has no config, or its file is damaged.
        """
        try:
            config: dict[str, Any] = self._read_yaml(CONFIG, dict)
        except NotKept as error:
            if made := read_tag(self.tags, ART):
                raise StoreError(
                    f"run {self._id} made a picture ({made}), so it has no model; name the run of a training"
                ) from error
            if not is_parent(self.tags):
                raise
            raise StoreError(
                f"run {self._id} is the run of a sweep or a pipeline, which has no model of its own; name the run of "
                "one of its trainings"
            ) from error
        for group in ("model", "dataset"):
            if not isinstance(config.get(group), dict) or not config[group].get("name"):
                raise self._damaged(CONFIG, f"it names no {group}")
        return config

    def read_overrides(self) -> list[str] | None:
        """Return what was typed to train the run, None when nothing was.

        Raises:
            StoreError: the file is damaged.
        """
        with contextlib.suppress(NotKept):
            return [str(override) for override in self._read_yaml(OVERRIDES, list)]
        return None

    def read_settings(self) -> dict[str, Any]:
        """Return what `log_settings` has recorded; raises StoreError if it is damaged or not there."""
        settings: dict[str, Any] = self._read_yaml(SETTINGS, dict)
        return settings

    def model_folder(self, model_uri: str | None = None) -> contextlib.AbstractContextManager[Path]:
        """Yield the run's `model/`, or the model behind the URI; it must not be changed."""
        return self.reading("model") if model_uri is None else reading_model(self._client, model_uri)

    @property
    def model_id(self) -> str:
        """The id of the MLflow model that the run logged last; raises StoreError if it logged none."""
        if not self.model_ids:
            raise StoreError(
                f"run {self._id} logged no model; train it with tracking.detail=full, tracking.save_model=true and "
                "mlflow in tracking.formats"
            )
        return self.model_ids[-1]

    @contextlib.contextmanager
    def logged_model_folder(self) -> Iterator[Path]:
        """Yield the folder of the MLflow model that the run logged; it must not be changed."""
        with self.model_folder(f"models:/{self.model_id}") as folder:
            yield folder

    def examples(self, logged_model: Path) -> np.ndarray:
        """Return the images that are stored with a logged model: uint8, (n, height, width, channels).

        Raises:
            StoreError: they are gone or damaged.
        """
        try:
            return np.asarray(Model.load(logged_model).load_input_example(str(logged_model)), np.uint8)
        except (MlflowException, OSError, ValueError, TypeError) as error:
            raise StoreError(
                f"run {self._id}: its MLflow model has no example images that can be read; restore {logged_model} "
                "from a copy, or train the run again"
            ) from error

    def _read_yaml(self, path: str, kind: type) -> Any:
        with self.reading(path) as file:
            try:
                content = yaml.safe_load(file.read_text(encoding="utf-8"))
            except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
                content, reason = None, first_line(error)
            else:
                reason = f"it holds {type(content).__name__}, expected {kind.__name__}"
        if not isinstance(content, kind):
            raise self._damaged(path, reason)
        return content

    def _damaged(self, path: str, reason: str) -> StoreError:
        return StoreError(
            f"run {self._id}: {path} is damaged ({reason}); restore the file from a copy, or train the run again"
        )
