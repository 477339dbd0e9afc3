"""Runs that others stand under, found again by their tags whoever comes: those of sweeps and of pipelines."""

import contextlib
from collections.abc import Iterator, Mapping

from mlflow.entities import Run as MlflowRun

from src.interrupt import deferred
from src.redact import redact_tree
from src.schema import TrackingConfig
from src.tracking.opening import looked_after
from src.tracking.provenance import is_gone, origin_tags
from src.tracking.run import Run
from src.tracking.store import Store, open_store


def open_parent(
    store: Store, name: str, found_by: Mapping[str, str], tags: Mapping[str, str] | None = None
) -> tuple[Run, bool]:
    """The run with these tags, RUNNING again when it exists already.

    Args:
        store: what `open_store` gave.
        name: of a new run.
        found_by: tags that no other run has.
        tags: of a new run, beside those that it is found by.

    Returns:
        The run, and whether it has no params yet: it is new, or was cut off when it was.
    """
    client, experiment_id = store
    if client is None:
        return Run(None, "", ""), True
    for found in find_runs(store, found_by):
        client.update_run(found.info.run_id, status="RUNNING")
        return Run(client, found.info.run_id, experiment_id), not found.data.params
    with deferred():
        all_tags = redact_tree(origin_tags() | dict(tags or {}) | dict(found_by))
        created = client.create_run(experiment_id, run_name=name, tags=all_tags)
    run = Run(client, created.info.run_id, experiment_id)
    run.log_environment()
    return run, True


@contextlib.contextmanager
def pipeline_run(config: TrackingConfig, pipeline: str, key: str, name: str) -> Iterator[Run]:
    """The run of a pipeline, which its trainings stand under; its status says how the block ended.

    Trainings that an earlier, killed process of this machine has left behind are marked KILLED.

    Args:
        config: which store.
        pipeline: which.
        key: what tells this call from another with other settings, without quotes.
        name: of a new run.
    """
    store = open_store(config)
    own = {"pipeline": pipeline, "pipeline_key": key}
    with looked_after(lambda: open_parent(store, name, own)[0], config.uri) as run:
        for child in find_runs(store, {"mlflow.parentRunId": str(run.run_id)}):
            if store.client is not None and child.info.status == "RUNNING" and is_gone(child.data.tags):
                store.client.set_terminated(child.info.run_id, "KILLED")
        yield run


def find_runs(store: Store, tags: Mapping[str, str]) -> list[MlflowRun]:
    """The runs that have all these tags, the oldest first. Values may not hold quotes."""
    client, experiment_id = store
    if client is None:
        return []
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found: list[MlflowRun] = []
    token = None
    while token is None or token:
        page = client.search_runs([experiment_id], wanted, order_by=["attributes.start_time ASC"], page_token=token)
        found += page
        token = page.token or ""
    return found
