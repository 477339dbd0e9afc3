"""Finished runs that can be reused, because they have the same configuration, code and data."""

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import mlflow
from mlflow.entities import Run as MlflowRun

from src.errors import StoreError
from src.extensions import extension_param
from src.places import local_path
from src.results import TrainResult
from src.schema import (
    BEST,
    MODEL_FORMATS,
    TEST,
    TTA,
    VALIDATION,
    Config,
    TrackingConfig,
    as_tree,
    decisive_leaves,
    flatten,
    metric_names,
    recorded_metrics,
    with_given_name,
)
from src.tracking.opening import explain_store_errors
from src.tracking.points import points_of
from src.tracking.provenance import result_code_digest
from src.tracking.store import Store, client_of
from src.tracking.tags import FINGERPRINT, UNRECOGNIZED, filter_by, read_calibration, read_intervals, read_tag, searches

MAX_CANDIDATES = 10  # finished runs with one fingerprint, of which the newest that still has its files is reused
RESOLVED = ("data_digest", "parameters", "validation_images", "test_images")  # params that others read
KEPT = ("tracking.save_model", "tracking.detail")  # settings that decide how much of a run can be reused


def fingerprint(config: Config, data_digest: str) -> str:
    """Return the SHA-256 in hex of everything that decides a run's result, see `origin_of_result`."""
    return hashlib.sha256(json.dumps(origin_of_result(config, data_digest), sort_keys=True).encode()).hexdigest()


def origin_of_result(config: Config, data_digest: str) -> dict[str, Any]:
    """Return everything that decides a run's result, for JSON: settings, code, data and initial weights.

    Places and names are not part of it, and neither is code that cannot change a result, see `result_code_digest`.

    Args:
        config: of the run.
        data_digest: of the data set that was found.
    """
    tree = with_given_name(as_tree(config))
    leaves = decisive_leaves(tree) | {name: value for name, value in flatten(tree).items() if name in KEPT}
    if set(config.tracking.formats) != set(MODEL_FORMATS):  # runs of earlier versions have all of them
        leaves["tracking.formats"] = sorted(config.tracking.formats)
    for name in ("training.initial_weights", "model.weights"):
        if (path := leaves.get(name)) and (file := local_path(str(path))).is_file():
            leaves[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"settings": leaves, "code": result_code_digest(), "data": data_digest} | extension_param()


def finished_result(store: Store, wanted: str, warnings: list[str]) -> TrainResult | None:
    """Return the result of the newest finished run that has this fingerprint and its files, None when there is none.

    Args:
        store: from `open_store`.
        wanted: a fingerprint.
        warnings: of the data set, which belong to the reused result too.
    """
    if store.client is None:
        return None
    with explain_store_errors(store.client.tracking_uri):
        found = (
            run
            for tags in searches({FINGERPRINT: wanted})
            for run in store.client.search_runs(
                [store.experiment_id],
                f"{filter_by(tags)} and attributes.status = 'FINISHED'",
                max_results=MAX_CANDIDATES,
                order_by=["attributes.start_time DESC"],
            )
        )
        results = (_complete_result(store.client, run, warnings) for run in found)
        return next((result for result in results if result is not None), None)


def _keeps_files(client: mlflow.MlflowClient, run: MlflowRun) -> bool:
    """Return True if the run still has the files that other commands read: artifacts may have been removed."""
    wanted = {"config"} | ({"model"} if run.data.params.get("tracking.save_model") == "true" else set())
    return wanted <= {kept.path for kept in client.list_artifacts(run.info.run_id)}


def _complete_result(client: mlflow.MlflowClient, run: MlflowRun, warnings: list[str]) -> TrainResult | None:
    """Return the run's result, None if files of the run, params or metrics have been removed from the store."""
    with contextlib.suppress(StoreError):
        if _keeps_files(client, run):
            result = _result(client, run, warnings)
            return result if _measured(run.data.params) <= result.metrics.keys() else None
    return None


def _measured(params: Mapping[str, str]) -> set[str]:
    """Return the metrics that a complete training with these params has.

    Raises:
        StoreError: params have been removed.
    """
    if not {f"resolved.{name}" for name in RESOLVED} <= params.keys():
        raise StoreError("the record is incomplete")
    chosen = re.findall(r"\w+", params.get("training.metrics", ""))
    recorded = recorded_metrics(chosen, params.get("training.monitor"))
    validation = [] if params["resolved.validation_images"] == "0" else metric_names(VALIDATION, recorded)
    test = metric_names(TEST, recorded) if params.get("evaluate_test") == "true" else []
    return {*metric_names(), "epoch_seconds", *validation, *test}


def recorded_result(config: TrackingConfig, run_id: str) -> TrainResult:
    """Return the result of a finished run, as it was when the run was trained.

    Raises:
        StoreError: the run is not a complete training.
    """
    client = client_of(config.uri)
    with explain_store_errors(config.uri):
        return _result(client, client.get_run(run_id), [])


def _result(client: mlflow.MlflowClient, run: MlflowRun, warnings: list[str]) -> TrainResult:
    """Build the result from the run's metrics: those with one point for each epoch are its history.

    Raises:
        StoreError: params or metrics of the run have been removed from the store.
    """
    epochs_trained = int(run.data.params.get("resolved.epochs", 0)) or sys.maxsize
    points = {
        name: [point for point in points_of(client, run.info.run_id, name) if point.step <= epochs_trained]
        for name in run.data.metrics
        if "/" not in name  # system metrics have steps of their own
    }
    tested = {name: found[-1].value for name, found in points.items() if name.startswith(TEST) and found}
    epochs = [point.step for point in points.get("loss", ())]
    history = {
        name: [point.value for point in found]
        for name, found in points.items()
        # The best epoch's values are in the history already; metrics with other steps were added later.
        if name not in tested and not name.startswith((BEST, TTA)) and [point.step for point in found] == epochs
    }
    best_epoch = int(run.data.params.get("resolved.best_epoch", 0))
    if not 1 <= best_epoch <= len(epochs):
        raise StoreError(
            f"run {run.info.run_id} has no metrics of its best epoch: its record is incomplete; train it again"
        )
    return TrainResult(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        best_epoch=best_epoch,
        metrics={name: values[best_epoch - 1] for name, values in history.items()} | tested,
        history=history,
        intervals={name: ends for name, ends in read_intervals(run.data.tags).items() if name in tested},
        calibration=read_calibration(run.data.tags) if tested else None,
        stopped=run.data.tags.get("stopped"),
        warnings=warnings + [warning for warning in [read_tag(run.data.tags, UNRECOGNIZED)] if warning],
    )
