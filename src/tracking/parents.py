"""Parent runs, those of sweeps and pipelines: any process finds them by their tags and resumes them."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType

from src.process.interrupt import deferred
from src.redact import redact_tree
from src.schema import TrackingConfig, is_place
from src.tracking.null_run import NullRun
from src.tracking.opening import managed_run
from src.tracking.provenance import command_tags, origin_tags
from src.tracking.run import Run, as_param
from src.tracking.store import Store, open_store
from src.tracking.tags import PARENT, PIPELINE_KEY, filter_by, is_parent, searches

MISSING = "???"  # OmegaConf's value of a key without a default
NAMES = {"model": "model.name", "dataset": "dataset.name"}  # tag -> key of what the UI shows even if it differs


def open_parent(
    store: Store, name: str, found_by: Mapping[str, str], tags: Mapping[str, str] | None = None
) -> tuple[Run, bool]:
    """Return the run with these tags as it was left, or a new one.

    Args:
        store: from `open_store`.
        name: the name of a new run.
        found_by: tags that no other run has.
        tags: further tags of a new run.

    Returns:
        The run, and whether it has no params yet: it is new, or its process was killed when it was.
    """
    client, experiment_id = store
    if client is None:
        return NullRun(), True
    for found in find_runs(store, found_by):
        if not is_parent(found.data.tags):
            continue
        run = Run(client, found.info.run_id, experiment_id)
        run.params, run.tags, run.status = found.data.params, found.data.tags, found.info.status
        run.end_time = None if found.info.status == "RUNNING" else found.info.end_time
        return run, not found.data.params
    with deferred():
        all_tags = redact_tree(origin_tags() | command_tags() | dict(tags or {}) | dict(found_by))
        created = client.create_run(experiment_id, run_name=name, tags=all_tags)
    run = Run(client, created.info.run_id, experiment_id)
    run.log_environment()
    return run, True


def record_common(
    run: Run, configs: Sequence[Mapping[str, Any]], listed: Collection[str] = tuple(NAMES.values())
) -> None:
    """Record what the configurations of a parent's runs have in common, so that the UI's columns show it.

    Params are the keys that have the same value in all of them, except places. The names of models and data sets are
    tags too. A param that the run has already stays as it is: MLflow does not change params.

    Args:
        run: the parent.
        configs: dotted name -> value of each configuration, from `flatten`; at least one. Keys that the parent must
            not show are not in them.
        listed: keys that are params even if they differ. Their values are separated by commas.
    """
    common = {
        name: value
        for name, value in configs[0].items()
        if value != MISSING and not is_place(name)
        if all(name in config and config[name] == value for config in configs)
    }
    lists = {
        key: ", ".join(dict.fromkeys(as_param(config[key]) for config in configs))
        for key in listed
        if all(key in config for config in configs)
    }
    run.log_params({name: value for name, value in (common | lists).items() if name not in run.params})
    run.set_tags({tag: lists[key] for tag, key in NAMES.items() if key in lists})


def adopt(store: Store, parent_run_id: str, run_ids: Sequence[str]) -> None:
    """Put runs under a parent."""
    for run_id in run_ids:
        assert store.client is not None
        store.client.set_tag(run_id, PARENT, parent_run_id)


@contextlib.contextmanager
def pipeline_run(
    config: TrackingConfig, pipeline: str, key: str, name: str, say: Callable[[str], None] | None = None
) -> Iterator[Run]:
    """Yield the run of a pipeline, the parent of its trainings; its status says how the block ended.

    It keeps its earlier end time if nothing was trained in the block.

    Args:
        config: names the store.
        pipeline: the name of the pipeline.
        key: identifies the settings of this call; it contains no quotes.
        name: the name of a new run.
        say: prints a line if runs of the experiment were killed, and when the store is waited for.
    """
    store = open_store(config, say)
    found_by = {"pipeline": pipeline, PIPELINE_KEY: key}
    with managed_run(lambda: open_parent(store, name, found_by)[0], config.uri) as run:
        end_time = run.end_time
        run.set_running()
        for deleted in find_runs(store, found_by, ViewType.DELETED_ONLY):
            adopt(store, str(run.run_id), [run_id for run_id, *_ in _children(store, deleted.info.run_id)])
        before = _children(store, str(run.run_id))
        yield run
        if _children(store, str(run.run_id)) == before:
            run.end_time = end_time


def _children(store: Store, run_id: str) -> list[tuple[str, str, int | None]]:
    """Return the id, the status and the end time of each run under a parent."""
    found = find_runs(store, {PARENT: run_id})
    return [(child.info.run_id, child.info.status, child.info.end_time) for child in found]


def find_runs(store: Store, tags: Mapping[str, str], view: int = ViewType.ACTIVE_ONLY) -> list[MlflowRun]:
    """Return the runs that have all these tags, the oldest first. Values must not contain quotes."""
    client, experiment_id = store
    if client is None:
        return []
    found: list[MlflowRun] = []
    for wanted in map(filter_by, searches(tags)):
        token = None
        while token is None or token:
            order = ["attributes.start_time ASC"]
            page = client.search_runs([experiment_id], wanted, run_view_type=view, order_by=order, page_token=token)
            found += page
            token = page.token or ""
    return sorted(found, key=lambda run: run.info.start_time)
