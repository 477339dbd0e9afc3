"""Runs that still say RUNNING although their process was killed, and the models that it was writing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mlflow.entities import LoggedModel, LoggedModelStatus

from src.tracking.artifacts import abandon_model, remove_unfinished
from src.tracking.process import is_gone
from src.tracking.tags import is_parent

if TYPE_CHECKING:
    import mlflow


def end_abandoned_runs(client: mlflow.MlflowClient, experiment_id: str) -> list[str]:
    """Mark runs KILLED that are RUNNING although their process, on this machine, has ended.

    Their half-written models become FAILED, and their half-written files are removed. Errors of the store are ignored,
    because it is opened for another purpose.

    Returns:
        The ids of the runs.
    """
    ended: list[str] = []
    with contextlib.suppress(Exception):
        running = client.search_runs([experiment_id], "attributes.status = 'RUNNING'")
        for run in running:
            if is_parent(run.data.tags) or not is_gone(run.data.tags):
                continue
            for model in _models_of(client, experiment_id, run.info.run_id):
                abandon_model(client, model.model_id)
            remove_unfinished(run.info.artifact_uri)
            client.set_terminated(run.info.run_id, "KILLED")
            ended.append(run.info.run_id)
    return ended


def _models_of(client: mlflow.MlflowClient, experiment_id: str, run_id: str) -> list[LoggedModel]:
    """Return the models that a run started to log and did not finish."""
    found = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
    return [model for model in found if model.status == LoggedModelStatus.PENDING]
