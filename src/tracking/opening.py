"""How a run begins and ends, and how one that exists is taken up again."""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import mlflow
from mlflow.exceptions import MlflowException
from requests import RequestException

from src.errors import StoreError
from src.links import mlflow_command
from src.process.interrupt import deferred
from src.redact import redact, redact_tree
from src.schema import Config, TrackingConfig
from src.tracking.provenance import standard_tags
from src.tracking.registry import fixed_uri
from src.tracking.run import Run
from src.tracking.store import Store, check_exists, client_of, prepare_store, problems_told, refusal

STORE_ERRORS = (MlflowException, RequestException)  # of calls, and of files that go through a server


@contextlib.contextmanager
def start_run(
    store: Store,
    config: Config,
    *,
    overrides: list[str] | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Run]:
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
    all_tags = standard_tags(config) | dict(config.tags) | dict(tags or {})
    if parent_run_id:
        all_tags["mlflow.parentRunId"] = parent_run_id

    def make() -> Run:
        created = client.create_run(experiment_id, run_name=redact(name), tags=redact_tree(all_tags))
        return Run(client, created.info.run_id, experiment_id)

    with looked_after(make, config.tracking.uri) as run, _system_metrics(config.tracking, run):
        run.log_config(config, overrides or [])
        if config.tracking.detail == "full":
            run.log_environment()
        yield run


@contextlib.contextmanager
def looked_after(make: Callable[[], Run], uri: str) -> Iterator[Run]:
    """The run that `make` gives. It ends FINISHED, KILLED when the process is asked to stop, or else FAILED."""
    run = None
    try:
        with deferred():  # a run that exists is one whose end is looked after
            run = make()
            run.reserve()
        yield run
        run.flush()
        run.end("FINISHED")
    except KeyboardInterrupt:
        if run is not None and run.status == "RUNNING":  # the interrupt may come too late
            run.end("KILLED")
        raise
    except BaseException as error:
        if run is not None and run.status == "RUNNING":
            run.end("FAILED", error)
        failure = _failure(uri, error) if isinstance(error, STORE_ERRORS) else error
        if run is not None and run.status == "RUNNING":
            failure.add_note(f"run {run.run_id} could not be marked FAILED: it still says RUNNING")
        if failure is error:
            raise
        raise failure from error


@contextlib.contextmanager
def resume_run(config: TrackingConfig, *, run_id: str | None = None, model_uri: str | None = None) -> Iterator[Run]:
    """A run that exists and has ended, to read from and to add to; its status stays as it is.

    Args:
        config: which store.
        run_id: the run; or
        model_uri: a model that the run logged, such as `models:/mnist@champion`.

    Raises:
        StoreError: no such store, run or model, or a run that was deleted or still runs.
    """
    with problems_told(config.uri):
        check_exists(config.uri)
        prepare_store(config.uri)
        client = client_of(config.uri)
    try:
        fixed = None if model_uri is None else fixed_uri(client, model_uri)
        found = client.get_run(run_id or _run_of_model(str(fixed)))
    except StoreError:
        raise
    except (MlflowException, ImportError, ValueError) as error:  # the last two: of places that MLflow knows how to read
        if problem := refusal(config.uri, error):
            raise StoreError(problem) from error
        raise StoreError(f"{config.uri} has no {run_id or model_uri}: {str(error).splitlines()[0]}") from error
    run = Run(client, found.info.run_id, found.info.experiment_id)
    run.model_uri = fixed
    if found.info.lifecycle_stage != "active":
        restore = mlflow_command(config.uri, "runs", "restore", "--run-id", str(run.run_id))
        raise StoreError(f"run {run.run_id} was deleted; name another, or restore it: {restore}")
    if found.info.status in ("RUNNING", "SCHEDULED"):
        raise StoreError(
            f"run {run.run_id} is still {found.info.status}; wait for its end. Where its process was killed it never "
            "ends; train it again"
        )
    run.params, run.tags, run.status = found.data.params, found.data.tags, found.info.status
    run.model_ids = [output.model_id for output in found.outputs.model_outputs] if found.outputs else []
    with failures_told(config.uri):
        yield run
        run.flush()


@contextlib.contextmanager
def failures_told(uri: str) -> Iterator[None]:
    """Turns what a store raises that fails inside the block into a StoreError."""
    try:
        yield
    except STORE_ERRORS as error:
        raise _failure(uri, error) from error


def _failure(uri: str, error: Exception) -> StoreError:
    reason = f"the tracking store {uri} failed during the run: {str(error).splitlines()[0]}"
    return StoreError(refusal(uri, error) or reason)


def _run_of_model(model_uri: str) -> str:
    run_id = mlflow.models.get_model_info(model_uri).run_id
    if run_id is None:
        raise StoreError(f"{model_uri} was not logged by a run, so its data set is not known")
    return str(run_id)


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
