"""Runs that others stand under, found again by their tags whoever comes: those of sweeps and of pipelines."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType

from src.process.interrupt import deferred
from src.redact import redact_tree
from src.schema import TrackingConfig
from src.tracking.opening import looked_after
from src.tracking.provenance import origin_tags
from src.tracking.run import Run
from src.tracking.store import Store, open_store

PARENT = "mlflow.parentRunId"


def open_parent(
    store: Store, name: str, found_by: Mapping[str, str], tags: Mapping[str, str] | None = None
) -> tuple[Run, bool]:
    """The run with these tags, as it was left, or a new one.

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
        run = Run(client, found.info.run_id, experiment_id)
        run.status = found.info.status
        run.end_time = None if found.info.status == "RUNNING" else found.info.end_time
        return run, not found.data.params
    with deferred():
        all_tags = redact_tree(origin_tags() | dict(tags or {}) | dict(found_by))
        created = client.create_run(experiment_id, run_name=name, tags=all_tags)
    run = Run(client, created.info.run_id, experiment_id)
    run.log_environment()
    return run, True


def adopt(store: Store, parent_run_id: str, run_ids: Sequence[str]) -> None:
    """Put runs under a parent."""
    for run_id in run_ids:
        assert store.client is not None
        store.client.set_tag(run_id, PARENT, parent_run_id)


@contextlib.contextmanager
def pipeline_run(config: TrackingConfig, pipeline: str, key: str, name: str) -> Iterator[Run]:
    """The run of a pipeline, which its trainings stand under; its status says how the block ended.

    Its earlier end time stays if nothing was trained in the block.

    Args:
        config: which store.
        pipeline: which.
        key: what tells this call from another with other settings, without quotes.
        name: of a new run.
    """
    store = open_store(config)
    own = {"pipeline": pipeline, "pipeline_key": key}
    with looked_after(lambda: open_parent(store, name, own)[0], config.uri) as run:
        ended = run.end_time
        run.set_running()
        for deleted in find_runs(store, own, ViewType.DELETED_ONLY):
            adopt(store, str(run.run_id), _children(store, deleted.info.run_id))
        before = _children(store, str(run.run_id))
        yield run
        if _children(store, str(run.run_id)) == before:
            run.end_time = ended


def _children(store: Store, run_id: str) -> list[str]:
    return [child.info.run_id for child in find_runs(store, {PARENT: run_id})]


def find_runs(store: Store, tags: Mapping[str, str], view: int = ViewType.ACTIVE_ONLY) -> list[MlflowRun]:
    """The runs that have all these tags, the oldest first. Values may not hold quotes."""
    client, experiment_id = store
    if client is None:
        return []
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found: list[MlflowRun] = []
    token = None
    while token is None or token:
        order = ["attributes.start_time ASC"]
        page = client.search_runs([experiment_id], wanted, run_view_type=view, order_by=order, page_token=token)
        found += page
        token = page.token or ""
    return found
