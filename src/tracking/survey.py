"""A whole tracking store, read page by page, and the repairs of what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
from mlflow.entities import Metric, Param, ViewType
from mlflow.exceptions import MlflowException

from src.errors import StoreError
from src.places import is_writable, local_folder, sqlite_file, store_folder
from src.schema import TrackingConfig
from src.tracking.abandoned import end_killed_run
from src.tracking.artifacts import abandon_model
from src.tracking.model_uri import model_location
from src.tracking.probes import GONE
from src.tracking.records import ModelRecord, RunRecord, VersionRecord, model_record, run_record
from src.tracking.registry import NO_SUCH_RUN
from src.tracking.run import as_param
from src.tracking.store import explain_unusable_store, reading_client
from src.tracking.tags import PROCESS, STUDY_ID, filter_by, searches

PAGE = 200  # runs in one request, each with its params and metrics
EVERY = "*"  # every experiment
MODEL_FILE = "MLmodel"  # which every MLflow model has


class Survey:
    """All runs, models and versions of a store. Reading changes nothing.

    Attributes:
        uri: the address of the store.
        folder: the folder of a SQLite store, and the working folder for any other store.
    """

    def __init__(self, config: TrackingConfig, will_write: bool = False) -> None:
        """Open the store.

        Args:
            config: names the store, and one experiment or `*` for all of them.
            will_write: whether repairs will be made. Without it a SQLite file that cannot be written is read.

        Raises:
            StoreError: the store or the experiment does not exist or cannot be reached, or must be written and cannot.
        """
        self.uri = config.uri
        self.folder = store_folder(config.uri)
        with explain_unusable_store(config.uri):
            _check_file(config.uri, will_write)
            self._client = reading_client(config.uri)
            names = dict(self._experiments())
        if config.experiment not in (EVERY, *names):
            known = ", ".join(names) or "none"
            raise StoreError(f"{config.uri} contains no experiment {config.experiment!r}; known: {known}")
        self._all = list(names.values())
        self._chosen = self._all if config.experiment == EVERY else [names[config.experiment]]

    def _experiments(self) -> Iterator[tuple[str, str]]:
        token = None
        while token is None or token:
            page = self._client.search_experiments(page_token=token)
            yield from ((experiment.name, experiment.experiment_id) for experiment in page)
            token = page.token or ""

    # --- reading ------------------------------------------------------------------------------------------------------

    def runs(self, wanted: str = "", *, deleted: bool = False, everywhere: bool = False) -> Iterator[RunRecord]:
        """Yield the runs of the chosen experiments, the oldest first.

        Args:
            wanted: MLflow's search filter, such as `attributes.status = 'RUNNING'`.
            deleted: yield the deleted runs instead.
            everywhere: look in all experiments.
        """
        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        experiments = self._all if everywhere else self._chosen
        token = None
        while experiments and (token is None or token):
            order = ["attributes.start_time ASC"]
            page = self._client.search_runs(experiments, wanted, view, PAGE, order, token)
            yield from map(run_record, page)
            token = page.token or ""

    def runs_tagged(self, tags: Mapping[str, str], *, deleted: bool = False) -> Iterator[RunRecord]:
        """Yield the runs of all experiments that have these tags, those of earlier versions too."""
        for wanted in searches(tags):
            yield from self.runs(filter_by(wanted), deleted=deleted, everywhere=True)

    def runs_of_study(self, unique: str, *, deleted: bool = False) -> Iterator[RunRecord]:
        """Yield the runs of a study's trials and of its sweep."""
        yield from self.runs_tagged({STUDY_ID: unique}, deleted=deleted)

    def has_trials(self) -> bool:
        """Return True if the chosen experiments have runs of trials."""
        return next(self.runs(f"tags.`{STUDY_ID}` LIKE '%'"), None) is not None

    def run(self, run_id: str) -> RunRecord | None:
        """Return a run, deleted or not; None if there is none."""
        try:
            return run_record(self._client.get_run(run_id))
        except MlflowException as error:
            if error.error_code in NO_SUCH_RUN:
                return None
            raise

    def models(self) -> Iterator[ModelRecord]:
        """Yield the MLflow models of the chosen experiments."""
        token = None
        while self._chosen and (token is None or token):
            page = self._client.search_logged_models(self._chosen, page_token=token)
            yield from map(model_record, page)
            token = page.token or ""

    def versions(self) -> Iterator[VersionRecord]:
        """Yield the versions of all registered models."""
        token = None
        while token is None or token:
            page = self._client.search_model_versions(page_token=token)
            yield from (VersionRecord(found.name, int(found.version), found.run_id or None) for found in page)
            token = page.token or ""

    def names_in(self, run: RunRecord, path: str = "") -> set[str]:
        """Return the names of the files and folders at this path of a run's artifacts."""
        if run.folder is not None:
            folder = run.folder / path
            return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        return {Path(entry.path).name for entry in self._client.list_artifacts(run.run_id, path or None)}

    def has_model_files(self, model: ModelRecord) -> bool:
        """Return True if the files of an MLflow model are there."""
        if model.folder is not None:
            return (model.folder / MODEL_FILE).is_file()
        found = self._client.list_logged_model_artifacts(model.model_id)
        return any(Path(entry.path).name == MODEL_FILE for entry in found)

    def has_version_files(self, version: VersionRecord) -> bool:
        """Return True if the files of a registered version are there."""
        try:
            location = model_location(self._client, f"models:/{version.name}/{version.number}")
            folder = local_folder(location)
            if folder is not None:
                return (folder / MODEL_FILE).is_file()
            return bool(mlflow.artifacts.list_artifacts(location, tracking_uri=self._client.tracking_uri))
        except MlflowException as error:
            if error.error_code == GONE:
                return False
            raise

    def history(self, run_id: str, metric: str) -> dict[int, float]:
        """Return the values of a metric by epoch; of several for one epoch the last."""
        points = self._client.get_metric_history(run_id, metric)
        return {point.step: point.value for point in sorted(points, key=lambda point: point.timestamp)}

    # --- repairs ------------------------------------------------------------------------------------------------------

    def end_killed(self, run: RunRecord) -> None:
        """Mark a RUNNING run KILLED; what its process had begun to write is removed.

        Another process, such as a second doctor, may have done it already since the run was read.

        Raises:
            StoreError: another process has ended the run in another way, or resumed it, since it was read.
        """
        found = self._client.get_run(run.run_id)
        if found.info.status == "KILLED":
            return
        if found.info.status != run.status or found.data.tags.get(PROCESS) != run.tags.get(PROCESS):
            raise StoreError(f"another process has ended or resumed run {run.run_id} just now")
        end_killed_run(self._client, found)

    def set_status(self, run: RunRecord, status: str) -> None:
        """Set the status of a run; one that has ended keeps its end time."""
        self._client.set_terminated(run.run_id, status, run.ended)

    def abandon_model(self, model_id: str) -> None:
        """Mark an unfinished model FAILED, and remove its files."""
        abandon_model(self._client, model_id)

    def add_best(self, run: RunRecord, metrics: Mapping[str, float], best_epoch: int) -> None:
        """Add metrics of the best epoch, and the param that names it; what the run has already stays as it is."""
        time = run.ended or run.started
        missing = [Metric(name, value, time, best_epoch) for name, value in metrics.items() if name not in run.metrics]
        params = [] if "resolved.best_epoch" in run.params else [Param("resolved.best_epoch", as_param(best_epoch))]
        self._client.log_batch(run.run_id, metrics=missing, params=params)


def _check_file(uri: str, will_write: bool) -> None:
    """Raise StoreError if the address is that of a SQLite file that is not there, is empty, or has to be writable."""
    file = sqlite_file(uri)
    if file is not None and (not file.exists() or file.stat().st_size == 0):
        raise StoreError(
            f"nothing was examined: tracking.uri={uri} is the file {file.absolute()}, which "
            f"{'is empty' if file.exists() else 'does not exist'}; "
            "repeat the command in the folder of the store, or name the store: "
            "tracking.uri=sqlite:////FOLDER/mlflow.db or tracking.uri=http://HOST:PORT"
        )
    if will_write and file is not None and not is_writable(file):
        raise StoreError(
            f"nothing was repaired: {file.absolute()} or its folder is read-only; make both writable, or repeat the "
            "command without fix=true to examine the store"
        )
