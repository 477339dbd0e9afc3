"""What MLflow remembers of a run: its config, its metrics, its files, its status.

A run is opened with `start_run`; everything is recorded through the `Run` it gives. With `tracking=off` the same calls
do nothing. Secrets are hidden in all that passes through here.
"""

import contextlib
import csv
import io
import json
import logging
import os
import platform
import queue
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import sqlalchemy
import yaml
from filelock import FileLock
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature

from src.errors import StoreError
from src.interrupt import deferred
from src.redact import redact, redact_tree
from src.schema import Config, TrackingConfig, as_tree, flatten

ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = "mlartifacts"  # beside the database
DIGEST_LENGTH = 36  # MLflow's limit for the digest of a data set input
PARAM_LENGTH = 6_000  # MLflow cuts longer values
TAG_LENGTH = 5_000
BATCH = 100  # params in one request
CONNECT_SECONDS = 5
SERVED_WITH = ("tensorflow", "keras", "numpy", "mlflow")


for chatty in ("mlflow", "alembic"):  # a new store announces each of its migrations
    logging.getLogger(chatty).setLevel(logging.WARNING)


# --- the store ---------------------------------------------------------------------------------------------------


class Store(NamedTuple):
    """A store that was found to work, and the id of the experiment in it; without a client when tracking is off."""

    client: mlflow.MlflowClient | None
    experiment_id: str


def open_store(config: TrackingConfig) -> Store:
    """The store that the config names, made when it does not exist, the experiment too.

    Raises:
        StoreError: the store cannot be reached or written, or is not one.
    """
    if not config.enabled:
        return Store(None, "")
    mlflow.set_tracking_uri(config.uri)
    try:
        location = _prepare_store(config.uri)
        client = mlflow.MlflowClient(config.uri)
        return Store(client, _experiment_id(client, config.experiment, location))
    except MlflowException as error:
        raise StoreError(_store_problem(config.uri, error)) from error


def _store_problem(uri: str, error: Exception) -> str:
    text = str(error)
    if "401" in text or "credentials" in text.lower():
        return f"the tracking server {uri} asks for a user: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return f"the tracking store {uri} cannot be used: {text.splitlines()[0]}"


def _prepare_store(uri: str) -> str | None:
    """Checks that the address leads to a store; returns where artifacts go, None when the server decides."""
    scheme = urllib.parse.urlsplit(uri).scheme
    if scheme in ("http", "https"):
        _check_server(uri)
        return None
    if scheme in ("", "file"):
        raise StoreError(
            f"tracking.uri={uri}: MLflow no longer keeps runs in a folder; "
            "use a database, sqlite:///mlflow.db, or a server, http://127.0.0.1:5000"
        )
    if scheme.partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql"):
        return _check_database(uri)
    return None


def _check_server(uri: str) -> None:
    remedy = "start it (make ui), correct tracking.uri, or train without tracking: tracking=off"
    parts = urllib.parse.urlsplit(uri)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    try:
        with urllib.request.urlopen(f"{bare}/health", timeout=CONNECT_SECONDS) as response:
            answer = response.read(64)
    except urllib.error.HTTPError:
        answer = b""
    except (OSError, ValueError) as error:  # URLError is an OSError
        raise StoreError(
            f"the tracking server {uri} does not answer ({getattr(error, 'reason', None) or error}); {remedy}"
        ) from error
    if answer.strip() != b"OK":
        raise StoreError(f"{uri} answers, but not as an MLflow server does; {remedy}")


def _check_database(uri: str) -> str:
    url = sqlalchemy.make_url(uri)
    if url.get_backend_name() == "sqlite":
        database = Path(url.database or "").absolute()
        folder = database.parent
        _make_writable(folder)
        with FileLock(folder / f".{database.name}.lock") if not _tables(uri) else contextlib.nullcontext():
            _check_tables(uri)
            mlflow.MlflowClient(uri).search_experiments(
                max_results=1
            )  # makes the tables, which two processes may not do at once
    else:
        _check_port(
            uri,
            url.host or "localhost",
            url.port or {"postgresql": 5432, "mysql": 3306}.get(url.get_backend_name(), 1433),
        )
        folder = Path.cwd()
        _check_tables(uri)
    artifacts = folder / ARTIFACTS
    _make_writable(artifacts)
    return artifacts.as_uri()


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StoreError(
            f"cannot write into {folder} ({error.strerror}); set tracking.uri to a writable place"
        ) from error


def _check_port(uri: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        raise StoreError(f"the database {uri} does not answer ({error}); start it, or correct tracking.uri") from error


def _tables(uri: str) -> set[str]:
    engine = sqlalchemy.create_engine(uri)
    try:
        return set(sqlalchemy.inspect(engine).get_table_names())
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise StoreError(f"tracking.uri={uri} is not a database that can be opened: {reason}") from error
    finally:
        engine.dispose()


def _check_tables(uri: str) -> None:
    tables = _tables(uri)
    if tables and not {"experiments", "runs"} <= tables:
        some = ", ".join(sorted(tables)[:3])
        raise StoreError(
            f"tracking.uri={uri} is the database of something else (it holds {some}); give MLflow a database of its own"
        )


def _experiment_id(client: mlflow.MlflowClient, name: str, location: str | None) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # Without this tag the UI opens the experiment on its page for language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return client.create_experiment(name, artifact_location=location, tags=tags)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return _experiment_id(client, name, location)  # another process was faster
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"the experiment {name!r} was deleted; restore it with "
            f"`mlflow experiments restore -x {experiment.experiment_id}`, or choose another: tracking.experiment=NAME"
        )
    return experiment.experiment_id


# --- a run -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def start_run(
    store: Store,
    config: Config,
    *,
    overrides: list[str] | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> "Iterator[Run]":
    """A new run with the config in it. It ends FINISHED, KILLED when the process is asked to stop, or else FAILED.

    Args:
        store: what `open_store` gave.
        config: recorded as params and as `config/config.yaml`, its secrets hidden.
        overrides: what was typed, recorded as `config/overrides.yaml`.
        parent_run_id: the run under which this one is shown.
        tags: added to those of the config.
    """
    client, experiment_id = store
    if client is None:
        yield Run(None, "", "")
        return
    name = config.tracking.run_name or f"{config.model.name}-{config.dataset.name}-s{config.seed}"
    all_tags = _standard_tags(config) | dict(config.tags) | dict(tags or {})
    if parent_run_id:
        all_tags["mlflow.parentRunId"] = parent_run_id
    created = client.create_run(experiment_id, run_name=redact(name), tags=redact_tree(all_tags))
    run = Run(client, created.info.run_id, experiment_id)
    try:
        with _system_metrics(config.tracking, run):
            run.log_config(config, overrides or [])
            yield run
            run.flush()
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except BaseException as error:
        run.end("FAILED", error)
        raise
    run.end("FINISHED")


@contextlib.contextmanager
def resume_run(config: TrackingConfig, *, run_id: str | None = None, model_uri: str | None = None) -> "Iterator[Run]":
    """A run that exists, to read from and to add to; its status stays as it is.

    Args:
        config: which store.
        run_id: the run; or
        model_uri: a model that the run logged, such as `models:/mnist@champion`.

    Raises:
        StoreError: no such store, run or model.
    """
    _check_exists(config.uri)
    mlflow.set_tracking_uri(config.uri)
    client = mlflow.MlflowClient(config.uri)
    try:
        _prepare_store(config.uri)
        found = client.get_run(run_id or _run_of_model(str(model_uri)))
    except MlflowException as error:
        raise StoreError(f"{config.uri} has no {run_id or model_uri}: {str(error).splitlines()[0]}") from error
    run = Run(client, found.info.run_id, found.info.experiment_id)
    run.params = found.data.params
    yield run
    run.flush()


def _run_of_model(model_uri: str) -> str:
    run_id = mlflow.models.get_model_info(model_uri).run_id
    if run_id is None:
        raise StoreError(f"{model_uri} was not logged by a run, so its data set is not known")
    return str(run_id)


def _check_exists(uri: str) -> None:
    url = sqlalchemy.make_url(uri) if uri.startswith("sqlite") else None
    if url is not None and not Path(url.database or "").exists():
        raise StoreError(f"there is no tracking store {uri}; set tracking.uri to the one that holds the run")


class Run:
    """One MLflow run. Metrics of epochs are written in the background, in order; all else is written at once."""

    def __init__(self, client: mlflow.MlflowClient | None, run_id: str, experiment_id: str) -> None:
        self._client = client
        self._id = run_id
        self.experiment_id = experiment_id
        self.params: dict[str, str] = {}
        self._writer = _Writer()

    @property
    def run_id(self) -> str | None:
        """The run's id, None when tracking is off."""
        return self._id or None

    def log_config(self, config: Config, overrides: list[str]) -> None:
        """The resolved config as params and as YAML, what was typed, and the environment."""
        if self._client is None:
            return
        self.log_params(flatten(config))
        self._upload("config/config.yaml", yaml.safe_dump(redact_tree(as_tree(config)), sort_keys=False))
        self._upload("config/overrides.yaml", yaml.safe_dump(redact_tree(overrides)))
        packages = sorted({f"{found.metadata['Name']}=={found.version}" for found in distributions()}, key=str.lower)
        self.log_text(
            "environment/packages.txt", "\n".join([f"# Python {platform.python_version()}", *packages]) + "\n"
        )
        if difference := _git("diff", "HEAD"):
            self.log_text("environment/git.diff", difference + "\n")

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Params as they would be typed: null, true, 0.001, [120, 84]."""
        if self._client is None:
            return
        shown = redact_tree(dict(params))
        assert isinstance(shown, dict)
        entities = [Param(name, _typed(value)[:PARAM_LENGTH]) for name, value in shown.items()]
        for start in range(0, len(entities), BATCH):
            self._client.log_batch(self._id, params=entities[start : start + BATCH])

    def log_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """An observer: one point per metric at this epoch."""
        self.log_metrics(logs, epoch)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """One point per metric, written in the background.

        Raises:
            StoreError: an earlier point could not be written.
        """
        if self._client is None:
            return
        client, now = self._client, int(time.time() * 1000)
        entities = [Metric(name, value, now, step) for name, value in metrics.items()]
        self._writer.put(lambda: client.log_batch(self._id, metrics=entities))

    def log_new_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """The same, leaving out what the run already says, so that asking twice adds nothing."""
        if self._client is None:
            return
        known = self._client.get_run(self._id).data.metrics
        self.log_metrics({name: value for name, value in metrics.items() if known.get(name) != value}, step)

    def flush(self) -> None:
        """Waits until everything is written; raises StoreError when something could not be."""
        self._writer.flush()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        if self._client is not None:
            shown = redact_tree(dict(tags))
            assert isinstance(shown, dict)
            self._client.log_batch(
                self._id, tags=[RunTag(name, str(value)[:TAG_LENGTH]) for name, value in shown.items()]
            )

    def describe(self, markdown: str) -> None:
        """The description that the UI shows above everything else."""
        self.set_tags({"mlflow.note.content": markdown})

    def log_text(self, path: str, text: str) -> None:
        """A text file, secrets hidden, at this path of the run's artifacts."""
        self._upload(path, redact(text))

    def _upload(self, path: str, text: str) -> None:
        if self._client is not None:
            with deferred():
                self._client.log_text(self._id, text, path)

    def log_table(self, path: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A CSV file with a header at this path of the run's artifacts."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        self.log_text(path, text.getvalue())

    def log_figure(self, path: str, figure: Any) -> None:
        """A Matplotlib figure as a picture at this path of the run's artifacts."""
        if self._client is not None:
            with deferred():
                self._client.log_figure(self._id, figure, path)

    def log_folder(self, folder: Path, path: str) -> None:
        """A folder's content below this path of the run's artifacts."""
        if self._client is not None:
            with deferred():
                self._client.log_artifacts(self._id, str(folder), path)

    def log_dataset(self, name: str, digest: str, source: str, profile: dict[str, Any]) -> None:
        """The data set as an input of the run. MLflow takes 36 characters of the digest; the profile has it whole."""
        if self._client is None:
            return
        described = MlflowDataset(
            name=name,
            digest=digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": redact(source)}),
            profile=json.dumps(profile | {"sha256": digest}),
        )
        self._client.log_inputs(self._id, [DatasetInput(described, [InputTag("mlflow.data.context", "training")])])

    def log_model(self, model: Any, name: str, images: np.ndarray, probabilities: np.ndarray, step: int) -> None:
        """The model as an MLflow LoggedModel that can be served, with the metrics that the run has at this step.

        Args:
            model: the Keras model.
            name: the LoggedModel's name; never `model`, which MLflow would merge with the run's folder of that name.
            images: uint8, (n, height, width, channels), an input example.
            probabilities: float32, (n, classes), what the model answers to it.
            step: the epoch whose metrics belong to the model.
        """
        if self._client is None:
            return
        import mlflow.tensorflow  # mlflow.keras cannot save an input example

        self.flush()
        with deferred(), contextlib.redirect_stdout(io.StringIO()):  # MLflow tries the example, with a progress bar
            logged = self._client.create_logged_model(
                self.experiment_id, name, source_run_id=self._id, model_type="classifier"
            )
            Model.log(
                artifact_path=None,
                flavor=mlflow.tensorflow,
                run_id=self._id,
                model_id=logged.model_id,
                step=step,
                model=model,
                keras_model_kwargs={"include_optimizer": False},
                signature=infer_signature(images, probabilities),
                input_example=images,
                pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
            )

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were kept, as the run recorded it."""
        return int(self.params.get("resolved.best_epoch", 0))

    def read_config(self) -> dict[str, Any]:
        """The resolved config that the run was trained with.

        Raises:
            StoreError: the run is not one of ours.
        """
        with tempfile.TemporaryDirectory() as folder:
            read: dict[str, Any] = yaml.safe_load(self._download("config/config.yaml", folder).read_text())
        return read

    @contextlib.contextmanager
    def model_folder(self, model_uri: str | None = None) -> Iterator[Path]:
        """A copy of the run's `model/`, or of the model behind the URI, for as long as the block lasts."""
        with tempfile.TemporaryDirectory() as folder:
            if model_uri is None:
                yield self._download("model", folder)
            else:
                yield Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=folder))

    def _download(self, path: str, folder: str) -> Path:
        assert self._client is not None
        try:
            return Path(self._client.download_artifacts(self._id, path, folder))
        except (MlflowException, OSError) as error:
            raise StoreError(f"run {self._id} keeps no {path}") from error

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Sets the final status, and the error as a tag, without ever hiding the error that ended the run."""
        assert self._client is not None
        with (
            deferred(),
            contextlib.nullcontext() if status == "FINISHED" else contextlib.suppress(MlflowException, StoreError),
        ):
            if status != "FINISHED":
                with contextlib.suppress(StoreError):
                    self.flush()
            if error is not None:
                self.set_tags({"error": f"{type(error).__name__}: {error}"})
            self._client.set_terminated(self._id, status)


class _Writer:
    """One background thread that does what it is given in order; its first error is raised to whoever comes next."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Callable[[], object]] = queue.Queue()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def put(self, write: Callable[[], object]) -> None:
        self._raise_error()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tracking-writer", daemon=True)
            self._thread.start()
        self._queue.put(write)

    def flush(self) -> None:
        self._queue.join()
        self._raise_error()

    def _work(self) -> None:
        while True:
            write = self._queue.get()
            try:
                if self._error is None:
                    write()
            except Exception as error:  # raised in the main thread
                self._error = error
            finally:
                self._queue.task_done()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise StoreError(
                f"the tracking store no longer takes metrics: {str(self._error).splitlines()[0]}"
            ) from self._error


def _typed(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _standard_tags(config: Config) -> dict[str, str]:
    tags = {
        "model": config.model.name,
        "dataset": config.dataset.name,
        "host": platform.node(),
        "mlflow.user": os.environ.get("USER", "unknown"),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": " ".join(["python -m src.train"]),
    }
    if commit := _git("rev-parse", "HEAD"):
        tags |= {"mlflow.source.git.commit": commit, "git_dirty": "true" if _git("status", "--porcelain") else "false"}
    return tags


def _git(*arguments: str) -> str:
    """What git answers about the project, empty when it is no checkout or there is no git."""
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False, errors="replace"
    )
    return done.stdout.strip() if done.returncode == 0 else ""


@contextlib.contextmanager
def _system_metrics(config: TrackingConfig, run: Run) -> Iterator[None]:
    if not config.system_metrics:
        yield
        return
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run.run_id)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
