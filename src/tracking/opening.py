"""Opening runs: new ones, whose end is recorded in any case, and existing ones."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from mlflow.exceptions import MlflowException
from requests import RequestException

from src.errors import NotKept, StoreError, first_line
from src.links import restore_command
from src.process.interrupt import deferred
from src.redact import redact, redact_tree
from src.schema import ArtConfig, Config, TrackingConfig
from src.tracking.model_uri import fixed_uri, run_of_model
from src.tracking.null_run import NullRun
from src.tracking.outage import PatientClient
from src.tracking.provenance import origin_tags, standard_tags
from src.tracking.resuming import take_over
from src.tracking.run import Run
from src.tracking.store import Store, existing_client, explain_refusal
from src.tracking.stored_run import CONFIG
from src.tracking.tags import PARENT

STORE_ERRORS = (MlflowException, RequestException)  # of calls, and of files that go through a server


@contextlib.contextmanager
def start_run(
    store: Store,
    config: Config,
    *,
    overrides: Sequence[str] = (),
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    run_id: str | None = None,
) -> Iterator[Run]:
    """Yield a new run with the config in it, or one that records nothing when tracking is off.

    The run ends FINISHED, KILLED when the process is asked to stop, or FAILED.

    Args:
        store: from `open_store`.
        config: recorded as params and as `config/config.yaml`, its secrets hidden.
        overrides: what was typed, recorded as `config/overrides.yaml`.
        parent_run_id: the run under which this one is shown.
        tags: added to those of the config.
        run_id: an interrupted run that is continued instead; it gets the tags.
    """
    client, experiment_id = store
    if client is None:
        yield NullRun()
        return
    if run_id is not None:
        with (
            managed_run(lambda: take_over(store, run_id, tags or {}), config.tracking.uri) as run,
            _system_metrics(config.tracking, run, is_resumed=True),
        ):
            try:
                with run.reading(CONFIG):
                    pass
            except NotKept:  # the run was interrupted while its config was recorded
                run.log_config(config, overrides)
            if config.tracking.detail == "full":
                run.log_environment(only_once=True)
            yield run
        return
    name = config.tracking.run_name or f"{config.model.name}-{config.dataset.name}-s{config.seed}"
    all_tags = standard_tags(config) | dict(config.tags) | dict(tags or {})
    if parent_run_id:
        all_tags[PARENT] = parent_run_id

    if isinstance(client, PatientClient):
        client.outages.renew()

    def make() -> Run:
        created = client.create_run(experiment_id, run_name=redact(name), tags=redact_tree(all_tags))
        return Run(client, created.info.run_id, experiment_id)

    with managed_run(make, config.tracking.uri) as run, _system_metrics(config.tracking, run):
        run.log_config(config, overrides)
        if config.tracking.detail == "full":
            run.log_environment()
        yield run


@contextlib.contextmanager
def start_art_run(
    store: Store,
    config: ArtConfig,
    name: str,
    tags: Mapping[str, str],
    overrides: Sequence[str] = (),
    run_id: str | None = None,
) -> Iterator[Run]:
    """Yield a new run in which a picture is made, or one that records nothing when tracking is off.

    The run ends FINISHED, KILLED when the process is asked to stop, or FAILED.

    Args:
        store: from `open_store`.
        config: recorded as params and as `config/settings.yaml`.
        name: of a new run.
        tags: added to those of its origin.
        overrides: what was typed.
        run_id: an interrupted run that is continued instead.
    """
    client, experiment_id = store
    if client is None:
        yield NullRun()
        return

    def make() -> Run:
        if run_id is not None:
            return take_over(store, run_id, {})
        created = client.create_run(experiment_id, run_name=redact(name), tags=redact_tree(origin_tags() | dict(tags)))
        return Run(client, created.info.run_id, experiment_id)

    with managed_run(make, config.tracking.uri) as run:
        run.log_settings(config, overrides if run_id is None else ())  # again, since it may have been killed before
        run.log_environment(only_once=run_id is not None)
        yield run


@contextlib.contextmanager
def managed_run(make: Callable[[], Run], uri: str) -> Iterator[Run]:
    """Yield the run that `make` returns. It ends FINISHED, KILLED when the process is asked to stop, or FAILED."""
    run = None
    try:
        with deferred():  # a run that was created is always ended
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
        failure = _store_error(uri, error) if isinstance(error, STORE_ERRORS) else error
        if run is not None and run.status == "RUNNING":
            failure.add_note(f"run {run.run_id} could not be marked FAILED: it still says RUNNING")
        if failure is error:
            raise
        for note in getattr(error, "__notes__", ()):
            failure.add_note(note)
        raise failure from error


@contextlib.contextmanager
def resume_run(config: TrackingConfig, *, run_id: str | None = None, model_uri: str | None = None) -> Iterator[Run]:
    """Yield a run that has ended, to read from it and to add to it; its status does not change.

    Args:
        config: names the store.
        run_id: the id of the run; or
        model_uri: a model that the run logged, such as `models:/mnist@champion`.

    Raises:
        StoreError: no such store, run or model, or a run that was deleted or is still running.
    """
    client = existing_client(config.uri)
    try:
        fixed = None if model_uri is None else fixed_uri(client, model_uri)
        found = client.get_run(run_id or run_of_model(client, str(fixed)))
    except StoreError:
        raise
    except (MlflowException, ImportError, ValueError) as error:  # the last two come from MLflow's readers of addresses
        if problem := explain_refusal(config.uri, error):
            raise StoreError(problem) from error
        raise StoreError(f"{config.uri} has no {run_id or model_uri}: {first_line(error)}") from error
    run = Run(client, found.info.run_id, found.info.experiment_id)
    run.model_uri = fixed
    if found.info.lifecycle_stage != "active":
        restore = restore_command(config.uri, str(run.run_id))
        raise StoreError(f"run {run.run_id} was deleted; name another, or restore it: {restore}")
    if found.info.status in ("RUNNING", "SCHEDULED"):
        raise StoreError(
            f"run {run.run_id} is still {found.info.status}; wait for its end, or train it again if its process was "
            "killed"
        )
    run.params, run.tags, run.status = found.data.params, found.data.tags, found.info.status
    run.model_ids = [output.model_id for output in found.outputs.model_outputs] if found.outputs else []
    with explain_store_errors(config.uri):
        try:
            yield run
            run.flush()
        finally:
            run.close()


@contextlib.contextmanager
def explain_store_errors(uri: str) -> Iterator[None]:
    """Turn the errors of a store that fails inside the block into a StoreError."""
    try:
        yield
    except STORE_ERRORS as error:
        raise _store_error(uri, error) from error


def _store_error(uri: str, error: Exception) -> StoreError:
    reason = f"the tracking store {uri} failed during the run: {first_line(error)}"
    return StoreError(explain_refusal(uri, error) or reason)


@contextlib.contextmanager
def _system_metrics(config: TrackingConfig, run: Run, is_resumed: bool = False) -> Iterator[None]:
    if not config.system_metrics:
        yield
        return
    from src.tracking.system_metrics import SystemMetrics

    monitor = SystemMetrics(run, is_resumed)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
